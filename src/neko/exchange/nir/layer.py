"""A layer of Neko from a neuron of NIR and what drives it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neko.cells import Cell
from neko.errors import ExchangeError
from neko.exchange.nir.adaptive import read_alif
from neko.exchange.nir.flat import ADAPTIVE, Flat
from neko.exchange.nir.layers import Chain
from neko.exchange.nir.linear import Drive, full
from neko.exchange.nir.neurons import READERS, Neuron, Steps
from neko.exchange.report import Entry, told

ALL_READERS = {**READERS, ADAPTIVE: read_alif}


class Layer(NamedTuple):
    """A cell, its parameters by their short names, and its entry in the report."""

    cell: Cell
    params: dict[str, np.ndarray]
    entry: Entry


def read_layer(whole: Flat, found: Chain, before: str, n_in: int, name: str, steps: Steps) -> Layer:
    """The layer of a node that `before`, of width `n_in`, feeds."""
    node, drive = whole.nodes[name], found.drives[name]
    made: Neuron = ALL_READERS[node["type"]](name, node, steps)
    n, params = made.units, {}
    for key, source, size in (("w_in", before, n_in), ("w_rec", name, n)):
        if source in drive.weights:
            w = matrix(name, drive, source, (n, size))
            params[key] = (w if (made.factor == 1.0).all() else made.factor[:, None] * w).T
    if np.ndim(drive.bias) or made.drive.any():
        params["b"] = made.factor * row(name, drive, n) + made.drive
    recurrent = "w_rec" in params
    options = {"recurrent": recurrent, "bias": "b" in params, "dt": steps.dt, **made.options}
    options["autapses"] = recurrent and bool(np.diagonal(params["w_rec"]).any())
    try:
        cell = made.cell(n, **options)
    except (ValueError, TypeError) as error:
        raise ExchangeError(f"node {name!r} ({node['type']}): {error}") from error
    told_of = [made.kept, f"reset {options['reset']}", "its own spikes come one step later" * recurrent]
    return Layer(cell, params, Entry(name, node["type"], told(told_of), made.lost))


def matrix(name: str, drive: Drive, source: str, shape: tuple[int, int]) -> np.ndarray:
    """The weights from a source; ExchangeError for another shape."""
    found = full(name, drive.weights[source], shape[0])
    if found.shape != shape:
        raise ExchangeError(f"node {name!r} gets weights of shape {found.shape!r} from {source!r}: expected {shape!r}")
    return found


def row(name: str, drive: Drive, n: int) -> np.ndarray:
    """The constant part of a drive; ExchangeError for another length."""
    if np.ndim(drive.bias) and len(drive.bias) != n:
        raise ExchangeError(f"node {name!r} gets a bias of {len(drive.bias)} values: expected {n}")
    return np.broadcast_to(drive.bias, (n,))
