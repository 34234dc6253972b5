"""Numbers of a node, checked."""

from __future__ import annotations

from typing import Any

import numpy as np

from neko.errors import ExchangeError
from neko.io.hdf5 import LIMIT
from neko.io.nir import Graph


def entry(name: str, node: Graph, key: str) -> np.ndarray:
    """An entry of a node, finite; ExchangeError with the node's name for anything else."""
    found = node.get(key)
    if not isinstance(found, np.ndarray) or not np.isfinite(found).all():
        what = "is missing" if found is None else "is no array of finite numbers"
        raise ExchangeError(f"node {name!r} ({node['type']}): {key} {what}")
    return found if found.dtype.kind == "f" else found.astype(np.float64)


def noted(node: Graph) -> dict[str, Any]:
    """The metadata of a node, of which Neko's own begin with ``neko_``."""
    found = node.get("metadata")
    return found if isinstance(found, dict) else {}


def per_neuron(name: str, node: Graph, key: str, units: int) -> np.ndarray:
    """An entry with one number for each neuron, or one for all, as (units,)."""
    found = entry(name, node, key)
    if found.size != 1 and found.shape != (units,):
        raise ExchangeError(
            f"node {name!r} ({node['type']}): {key} has shape {found.shape!r}: expected ({units},), neurons in a row"
        )
    return np.broadcast_to(found.reshape(-1), (units,))


def units_of(name: str, node: Graph, key: str) -> int:
    """The number of neurons, from one of their constants."""
    return entry(name, node, key).size


def constant(values: np.ndarray) -> Any:
    """One float where all are equal, otherwise a list of one for each neuron."""
    return float(values[0]) if np.all(values == values[0]) else [float(v) for v in values]


def spelled(values: np.ndarray, unit: str = "") -> str:
    """Numbers in a report: one, or their range."""
    least, largest = f"{np.min(values):.4g}", f"{np.max(values):.4g}"
    return (least if least == largest else f"{least} to {largest}") + unit


def check_room(name: str, *shape: int) -> None:
    """ExchangeError for a matrix that would be larger than a file may be."""
    if 8 * np.prod([float(n) for n in shape]) > LIMIT:
        raise ExchangeError(f"node {name!r}: weights of shape {shape!r}: expected at most {LIMIT} bytes")
