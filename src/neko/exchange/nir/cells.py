"""Cells of Neko as nodes of NIR."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from neko.cells import ALIF, LIF, Cell, CubaLIF, Learnable
from neko.cells.surrogates import Triangular
from neko.errors import ExchangeError
from neko.exchange.nir.adaptive import write_alif
from neko.exchange.nir.discrete import continuous, gain
from neko.exchange.nir.values import spelled
from neko.exchange.report import Entry, told
from neko.io.nir import Graph


def write_cell(name: str, cell: Cell, learnt: dict[str, np.ndarray], method: str, alif: bool) -> tuple[Graph, Entry]:
    """The node of a layer, and its entry in the report; `learnt` are the present values of constants that learn.

    ExchangeError for a cell that NIR has no node for.
    """
    if type(cell) not in (LIF, CubaLIF, ALIF):
        raise ExchangeError(f"{name} is {type(cell).__name__}: NIR has no such neuron; expected LIF, CubaLIF or ALIF")
    n, own = cell.units, {field.name: getattr(cell, field.name) for field in dataclasses.fields(cell)[1:]}
    constants = {
        key: np.broadcast_to(learnt.get(key, np.asarray(0.0 if isinstance(v, Learnable) else v)), (n,))
        for key, v in own.items()
        if key in ("tau_m", "tau_a", "tau_syn", "beta", "v_th", "t_ref")
    }
    node: Graph
    if isinstance(cell, ALIF):
        if not alif:
            raise ExchangeError(f"{name} is ALIF: NIR has it as a sub-graph only; expected alif=True (--alif)")
        if cell.reset != "subtract" or constants["t_ref"].any():
            raise ExchangeError(f"{name} is ALIF with reset='zero' or t_ref: its sub-graph can only subtract")
        node = write_alif(constants, cell.input_scaling, n, cell.dt, method)
        kept, lost = "a sub-graph of LI, LI and Threshold", []
    else:
        node = single(cell, constants, method)
        kept, lost = f"v_threshold {spelled(constants['v_th'])}", reset(node, own, constants)
    lost += ["the surrogate gradient"] * (own["surrogate"] != Triangular())
    lost += [f"that {', '.join(learnt)} can learn"] * bool(learnt)
    spelled_out = [f"{key} {spelled(v, ' ms')}" for key, v in constants.items() if key[:3] == "tau"]
    return node, Entry(name, node["type"], told([*spelled_out, kept]), told(lost))


def single(cell: Any, constants: dict[str, np.ndarray], method: str) -> Graph:
    """A node IF, LIF or CubaLIF."""
    tau, zeros = constants["tau_m"], np.zeros(cell.units)

    def resistance(tau: np.ndarray) -> np.ndarray:
        return zeros + 1.0 if cell.input_scaling else 1.0 / gain(tau, cell.dt)

    node: Graph = {"v_threshold": np.array(constants["v_th"]), "v_reset": zeros, "r": resistance(tau)}
    if isinstance(cell, CubaLIF):
        tau_syn = constants["tau_syn"]
        if math.isinf(tau[0]):
            raise ExchangeError("CubaLIF with tau_m=inf: NIR has no such neuron")
        node |= {"type": "CubaLIF", "tau_mem": continuous(tau, cell.dt, method), "w_in": resistance(tau_syn)}
        return {**node, "tau_syn": continuous(tau_syn, cell.dt, method), "v_leak": zeros}
    if math.isinf(tau[0]):
        return {**node, "type": "IF"}
    return {**node, "type": "LIF", "tau": continuous(tau, cell.dt, method), "v_leak": zeros}


def reset(node: Graph, own: dict[str, Any], constants: dict[str, np.ndarray]) -> list[str]:
    """Note in the metadata of a node what NIR has no place for, and say so."""
    noted: dict[str, Any] = {}
    lost = []
    if own["reset"] == "subtract":
        noted["neko_reset"] = "subtract"
        lost.append("reset by subtraction, noted in the metadata: other readers reset to v_reset = 0")
    if constants["t_ref"].any():
        noted["neko_t_ref"] = np.array(constants["t_ref"])
        lost.append("the refractory period, noted in the metadata: other readers have none")
    node["metadata"] = noted
    return lost
