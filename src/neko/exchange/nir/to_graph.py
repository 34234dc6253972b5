"""A graph of NIR from a network of Neko."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from neko.errors import ExchangeError
from neko.exchange.nir.cells import write_cell
from neko.exchange.nir.discrete import check_method, continuous, gain
from neko.exchange.report import Entry, Report
from neko.io import nir
from neko.models import Model


def to_nir(model: Model, path: str | Path, *, method: str = "exponential", alif: bool = False) -> Report:
    """Write a network of LIF or CubaLIF neurons, with its readout, as a NIR file.

    A layer is a node LIF, CubaLIF or, without leak, IF; recurrent weights are a cycle of edges, through which spikes
    come one step later. A current of gain 1 has the resistance ``R = 1 / (1 - α)``.

    Parameters
    ----------
    model : Model
        A built network, of one direction.
    path : path
        The file.
    method : {'exponential', 'euler'}
        What a reader with the same dt has to do to get the same decays, ``exp(-dt/τ)`` or ``1 - dt/τ``. NIR has no dt;
        it is noted in the metadata.
    alif : bool
        Write ALIF neurons as a sub-graph of integrators and a threshold, which few readers know.

    Returns
    -------
    Report
        What is kept and lost of every layer.

    Raises
    ------
    ExchangeError
        For a cell that NIR has no node for, and ALIF without `alif`.
    ImportError, OSError
        Without the package `nir`, or if the file cannot be written.
    """
    check_method(method)
    graph, report = graph_of(model, method, alif)
    nir.write(path, graph)
    return report


def graph_of(model: Any, method: str, alif: bool) -> tuple[nir.Graph, Report]:
    """The graph of a network, and the report."""
    if not isinstance(model, Model) or not model.params or model.bidirectional:
        raise ExchangeError(f"{model!r}: expected a built neko.Model of one direction")
    params = {name: np.asarray(model.xp.to_numpy(w), dtype=np.float64) for name, w in model.params.items()}
    parts: dict[str, nir.Graph] = {"input": {"type": "Input", "shape": np.array([model.n_in])}}
    edges: list[tuple[str, str]] = []
    kept = f"dt {model.dt:g} ms, in the metadata; decays by {method}; weights in float64"
    entries = [Entry("network", "NIRGraph", kept)]
    last = "input"
    for i, cell in enumerate(model.network.cells):
        name = f"layers.{i}"
        own = {key.removeprefix(f"{name}."): w for key, w in params.items() if key.startswith(f"{name}.")}
        constants = {
            key.removeprefix(f"{name}."): v for key, v in model.constants.items() if key.startswith(name + ".")
        }
        parts[f"{name}.w_in"] = linear(own["w_in"], own.get("b"))
        parts[name], entry = write_cell(name, cell, constants, method, alif)
        edges += [(last, f"{name}.w_in"), (f"{name}.w_in", name)]
        if cell.recurrent_currents:
            parts[f"{name}.w_rec"] = linear(own["w_rec"] * (1.0 if cell.autapses else 1.0 - np.eye(cell.units)), None)
            edges += [(name, f"{name}.w_rec"), (f"{name}.w_rec", name)]
        entries.append(entry)
        last = name
    entries += write_readout(model, params, parts, edges, last, method)
    graph = {"type": "NIRGraph", "nodes": parts, "edges": edges}
    return {**graph, "metadata": {"neko_dt": model.dt, "neko_method": method}}, Report(tuple(entries))


def linear(weights: np.ndarray, bias: np.ndarray | None) -> nir.Graph:
    """A node of weights (n_in, n), with a bias where there is one."""
    own = {"type": "Linear"} if bias is None else {"type": "Affine", "bias": bias}
    return {**own, "weight": np.ascontiguousarray(weights.T)}


def write_readout(
    model: Model, params: dict[str, np.ndarray], parts: dict[str, nir.Graph], edges: list[Any], last: str, method: str
) -> list[Entry]:
    """Add the nodes behind the last layer: none where spikes themselves are the outputs."""
    readout, w, b = model.network.readout, params["readout.w_out"], params["readout.b_out"]
    names, entries = [], []
    biased = bool(b.any())
    if readout.tau_out is not None:
        tau = np.full(readout.units, readout.tau_out)
        r = np.ones(readout.units) if readout.input_scaling else 1.0 / gain(tau, readout.dt)
        leaky = {"type": "LI", "tau": continuous(tau, readout.dt, method), "r": r, "v_leak": np.zeros(readout.units)}
        parts |= {"readout.w_out": linear(w, None), "readout": leaky}
        names = ["readout.w_out", "readout"]
        if biased:
            parts["readout.b_out"] = linear(np.eye(readout.units), b)
            names.append("readout.b_out")
        entries = [Entry("readout", "LI", f"tau {readout.tau_out:g} ms" + "; the bias behind it" * biased)]
    elif biased or not np.array_equal(w, np.eye(*w.shape)):
        parts["readout.w_out"] = linear(w, b if biased else None)
        names = ["readout.w_out"]
    parts["output"] = {"type": "Output", "shape": np.array([readout.units])}
    edges += zip([last, *names], [*names, "output"], strict=True)
    return entries
