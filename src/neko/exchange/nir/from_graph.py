"""A network of Neko from a graph of NIR."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from neko import backend as backends
from neko.arguments import check_number
from neko.cells import Cell
from neko.errors import ExchangeError
from neko.exchange.nir.discrete import check_method
from neko.exchange.nir.flat import flat
from neko.exchange.nir.layer import read_layer
from neko.exchange.nir.layers import chain
from neko.exchange.nir.neurons import Steps
from neko.exchange.nir.others import check_finite, linear_entries, network_entry, width
from neko.exchange.nir.readout import read_readout
from neko.exchange.nir.values import noted
from neko.exchange.report import Entry, Report
from neko.io import nir
from neko.models import Model


class Imported(NamedTuple):
    """A network, and what was kept and lost of every node."""

    model: Model
    report: Report


def from_nir(
    path: str | Path,
    backend: Any,
    *,
    dt: float | None = None,
    method: str | None = None,
    reset: str | None = None,
    task_type: str | None = None,
) -> Imported:
    """Read a network from a NIR file: layers of IF, LIF or CubaLIF neurons one after another, each perhaps recurrent.

    Parameters
    ----------
    path : path
        The file, as ``nir.write`` and the exporters of other libraries make it.
    backend : Backend or str
        Where the network lives, for example ``'torch'``.
    dt : float, optional
        Length of a step in ms, where the file's unit of time is the second. NIR describes continuous time and has no
        dt; a file of `to_nir` notes its own.
    method : {'exponential', 'euler'}, optional
        Decay of a step: exactly ``exp(-dt/τ)`` (the default), or ``1 - dt/τ`` as in snnTorch, Norse and Lava.
    reset : {'zero', 'subtract'}, optional
        In place of NIR's reset to ``v_reset``, for files of networks that subtracted the threshold.
    task_type : {'classification', 'regression'}, optional
        See `neko.Model`.

    Returns
    -------
    Imported
        ``model`` and ``report``. Spikes are the outputs where the graph ends with neurons.

    Raises
    ------
    ExchangeError
        For a damaged file, and with the node's name for what the network could not have without a loss: other nodes,
        delays, layers side by side, a leak potential that a synapse would filter.
    ValueError
        For a missing `dt`, or an unknown method or reset.
    """
    try:
        with np.errstate(all="ignore"):  # what overflows is found in the weights
            return translated(nir.read(path), backend, dt=dt, method=method, reset=reset, task_type=task_type)
    except ExchangeError as error:
        raise error if str(path) in str(error) else ExchangeError(f"{path}: {error}") from error


def translated(graph: nir.Graph, backend: Any, *, dt: Any, method: Any, reset: Any, task_type: Any) -> Imported:
    """As `from_nir`, of a graph."""
    if graph["type"] != "NIRGraph":
        raise ExchangeError(f"the file holds one node of type {graph['type']!r}: expected a NIRGraph")
    own = noted(graph)
    given = own.get("neko_dt") if dt is None else dt
    if given is None:
        raise ValueError("a NIR graph has no dt: expected dt=…, the length of a step in ms")
    method = own.get("neko_method", "exponential") if method is None else method
    check_method(method)
    steps = Steps(check_number("dt", np.asarray(given).item(), positive=True), method, reset)
    whole = flat(graph)
    found = chain(whole)
    n_in = n = width(whole, found.source)
    cells: list[Cell] = []
    entries: list[Entry] = []
    params: dict[str, np.ndarray] = {}
    for i, (before, name) in enumerate(zip([found.source, *found.neurons], found.neurons, strict=False)):
        read = read_layer(whole, found, before, n, name, steps)
        cells.append(read.cell)
        entries.append(read.entry)
        params |= {f"layers.{i}.{key}": w for key, w in read.params.items()}
        n = read.cell.units
    last = read_readout(whole, found, n, steps)
    params |= {"readout.w_out": last.weights, "readout.b_out": last.bias}
    xp = backends.get(backend) if isinstance(backend, str) else backend
    check_finite(params)
    model = Model(cells, last.weights.shape[1], xp, task_type=task_type, **last.options).build(n_in)
    model.params = {name: xp.asarray(np.array(params[name], order="C"), dtype=xp.dtype) for name in model.params}
    return Imported(model, Report((network_entry(steps, model), *linear_entries(whole), *entries, *last.entries)))
