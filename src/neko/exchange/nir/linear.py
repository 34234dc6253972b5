"""What the linear nodes between neurons amount to: for each neuron a matrix from every other, and a bias."""

from __future__ import annotations

import graphlib
from typing import Any, NamedTuple

import numpy as np

from neko.errors import ExchangeError
from neko.exchange.nir.flat import Flat
from neko.exchange.nir.values import check_room, entry
from neko.io.nir import Graph

LINEAR = ("Linear", "Affine", "Scale")


class Drive(NamedTuple):
    """The sum of ``W_s z_s`` over sources s, by name and (n, n_s) each, None where it is the source itself; and the
    constant part, 0.0 where there is none."""

    weights: dict[str, np.ndarray | None]
    bias: Any


def drives(graph: Flat, passed: set[str]) -> dict[str, Drive]:
    """The drive of every node that is not linear, from all that are not; nodes of `passed` hand on what they get.

    ExchangeError for linear nodes in a cycle, and for weights of other shapes than what they connect.
    """
    through = {name for name, node in graph.nodes.items() if node["type"] in LINEAR or name in passed}
    inner = {name: [s for s in graph.sources[name] if s in through] for name in through}
    try:
        order = [*graphlib.TopologicalSorter(inner).static_order()]
    except graphlib.CycleError as error:
        raise ExchangeError(f"nodes {error.args[1]!r} are a cycle without a neuron, which has no value") from error
    after: dict[str, Drive] = {}
    found: dict[str, Drive] = {}
    for name in [*order, *(name for name in graph.nodes if name not in through)]:
        parts = [after[s] if s in through else Drive({s: None}, 0.0) for s in graph.sources[name]]
        total = parts[0] if parts else Drive({}, 0.0)
        for part in parts[1:]:
            total = added(name, total, part)
        if name in through:
            after[name] = total if name in passed else applied(name, graph.nodes[name], total)
        else:
            found[name] = total
    return found


def added(name: str, a: Drive, b: Drive) -> Drive:
    """The sum of two drives."""
    sizes = {len(m) for m in (*a.weights.values(), *b.weights.values(), a.bias, b.bias) if np.ndim(m)}
    if len(sizes) > 1 or (not sizes and a.weights.keys() & b.weights.keys()):
        raise ExchangeError(
            f"node {name!r} is fed with {sorted(sizes)} values, or by one node twice: expected one size"
        )
    weights = dict(a.weights)
    for source, w in b.weights.items():
        size = next(iter(sizes), 0)
        weights[source] = full(name, w, size) + full(name, weights[source], size) if source in weights else w
    return Drive(weights, a.bias + b.bias)


def full(name: str, weights: np.ndarray | None, size: int) -> np.ndarray:
    """A matrix, also of the source itself."""
    if weights is not None:
        return weights
    check_room(name, size, size)
    return np.eye(size)


def applied(name: str, node: Graph, drive: Drive) -> Drive:
    """What a linear node makes of its input."""
    if node["type"] == "Scale":
        scale = vector(name, node, "scale")
        check_width(name, drive, scale.size)
        weights = {s: scale[:, None] * full(name, w, scale.size) for s, w in drive.weights.items()}
        return Drive(weights, scale * drive.bias)
    matrix = entry(name, node, "weight").astype(np.float64)
    if matrix.ndim != 2:
        raise ExchangeError(f"node {name!r} ({node['type']}): weights of shape {matrix.shape!r}: expected (out, in)")
    check_width(name, drive, matrix.shape[1])
    for w in drive.weights.values():
        check_room(name, matrix.shape[0], matrix.shape[1] if w is None else w.shape[1])
    weights = {s: matrix if w is None else matrix @ w for s, w in drive.weights.items()}
    own: Any = vector(name, node, "bias") if node["type"] == "Affine" else 0.0
    if np.ndim(own) and len(own) != len(matrix):
        raise ExchangeError(f"node {name!r} (Affine): a bias of {len(own)} and {len(matrix)} rows of weights")
    return Drive(weights, own + (matrix @ drive.bias if np.ndim(drive.bias) else 0.0))


def check_width(name: str, drive: Drive, width: int) -> None:
    """ExchangeError unless so many values come in; those of a neuron itself are known later."""
    for source, m in (*drive.weights.items(), ("a bias", drive.bias)):
        if np.ndim(m) and len(m) != width:
            raise ExchangeError(f"node {name!r} takes {width} values, and gets {len(m)} from {source!r}")


def vector(name: str, node: Graph, key: str) -> np.ndarray:
    """An entry (n,) of a node."""
    found = entry(name, node, key).astype(np.float64)
    if found.ndim != 1:
        raise ExchangeError(f"node {name!r} ({node['type']}): {key} has shape {found.shape!r}: expected (n,)")
    return found
