"""ALIF as a sub-graph: NIR has no neuron with an adaptive threshold, but the parts of one.

The membrane and the adaptation are leaky integrators (LI), the spike is a Threshold, and it is fed back to both: by
``-v_th`` to the membrane, which is the reset by subtraction. As in every cycle the spike arrives one
step later.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neko.cells import ALIF
from neko.errors import ExchangeError
from neko.exchange.nir.discrete import continuous, discretised, gain, is_unit
from neko.exchange.nir.neurons import Neuron, Steps
from neko.exchange.nir.values import constant, per_neuron, spelled, units_of
from neko.io.nir import Graph

PARTS = {
    "input": "Input",
    "membrane": "LI",
    "adaptation": "LI",
    "shift": "Scale",
    "reset": "Scale",
    "spike": "Threshold",
    "output": "Output",
}
EDGES = [
    ("input", "membrane"),
    ("membrane", "spike"),
    ("adaptation", "shift"),
    ("shift", "spike"),
    ("spike", "reset"),
    ("reset", "membrane"),
    ("spike", "adaptation"),
    ("spike", "output"),
]


def is_alif(node: Graph) -> bool:
    """Whether a graph has these parts, by name and type, and these edges."""
    types = {name: part["type"] for name, part in node.get("nodes", {}).items()}
    return types == PARTS and {tuple(edge) for edge in node["edges"]} == set(EDGES)


def write_alif(constants: dict[str, np.ndarray], scaling: bool, n: int, dt: float, method: str) -> Graph:
    """The sub-graph of `n` neurons with these constants, each (n,)."""
    tau_m, tau_a = constants["tau_m"], constants["tau_a"]
    share = gain(tau_m, dt)
    shape, zeros = np.array([n]), np.zeros(n)

    def integrator(tau: np.ndarray, r: np.ndarray) -> Graph:
        return {"type": "LI", "tau": continuous(tau, dt, method), "r": r, "v_leak": zeros}

    nodes: dict[str, Any] = {
        "input": {"type": "Input", "shape": shape},
        "membrane": integrator(tau_m, np.ones(n) if scaling else 1.0 / share),
        "adaptation": integrator(tau_a, 1.0 / gain(tau_a, dt)),
        "shift": {"type": "Scale", "scale": -constants["beta"]},
        "reset": {"type": "Scale", "scale": -constants["v_th"] / (share if scaling else 1.0)},
        "spike": {"type": "Threshold", "threshold": constants["v_th"]},
        "output": {"type": "Output", "shape": shape},
    }
    return {"type": "NIRGraph", "nodes": nodes, "edges": EDGES}


def read_alif(name: str, node: Graph, steps: Steps) -> Neuron:
    """The cell of a sub-graph that `is_alif`."""
    parts, dt = node["nodes"], steps.dt
    n = units_of(f"{name}/membrane", parts["membrane"], "tau")

    def value(part: str, key: str) -> np.ndarray:
        return per_neuron(f"{name}/{part}", parts[part], key, n)

    tau_m, tau_a = (
        discretised(f"{name}/{part}", value(part, "tau"), dt, steps.method) for part in ("membrane", "adaptation")
    )
    r, v_th, share = value("membrane", "r"), value("spike", "threshold"), gain(tau_m, dt)
    beta = -value("shift", "scale") * gain(tau_a, dt) * value("adaptation", "r")
    if is_unit(gain(tau_a, dt) * value("adaptation", "r")):
        beta = -value("shift", "scale")
    subtracted = -value("reset", "scale") * share * r
    if (np.abs(subtracted - v_th) > 1e-6 * np.abs(v_th)).any() or value("membrane", "v_leak").any():
        raise ExchangeError(
            f"graph {name!r}: a spike takes {spelled(subtracted)} off the membrane, the threshold is {spelled(v_th)}: "
            "expected both equal, and v_leak = 0, as of an ALIF"
        )
    plain = is_unit(share * r)
    options = {"tau_m": constant(tau_m), "tau_a": constant(tau_a), "beta": constant(beta), "v_th": constant(v_th)}
    options |= {"reset": "subtract", "input_scaling": not plain}
    kept = f"tau_m {spelled(tau_m, ' ms')}; tau_a {spelled(tau_a, ' ms')}; beta {spelled(beta)}"
    return Neuron(ALIF, options, n, np.ones(n) if plain else r, np.zeros(n), kept, "")
