"""Neurons of NIR as Neko's cells: IF, LIF and CubaLIF."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from neko.cells import LIF, CubaLIF
from neko.errors import ExchangeError
from neko.exchange.nir.discrete import discretised, gain, is_unit, scaled
from neko.exchange.nir.values import constant, noted, per_neuron, spelled, units_of
from neko.exchange.report import told
from neko.io.nir import Graph


class Steps(NamedTuple):
    """How time is cut into steps: their length in ms, the method, and the reset that replaces the file's."""

    dt: float
    method: str
    reset: str | None = None


class Neuron(NamedTuple):
    """A cell with its options, what its drive is multiplied with and then added to, and what the report says."""

    cell: Any
    options: dict[str, Any]
    units: int
    factor: np.ndarray
    drive: np.ndarray
    kept: str
    lost: str


def read_if(name: str, node: Graph, steps: Steps) -> Neuron:
    """``dv/dt = R I``: a membrane without leak, to which a step adds ``dt R I``."""
    n = units_of(name, node, "r")
    factor = gain(np.full(n, math.inf), steps.dt) * per_neuron(name, node, "r", n)
    factor = np.ones(n) if is_unit(factor) else factor
    own = {"tau_m": math.inf, **threshold(name, node, n, steps)}
    return Neuron(LIF, own, n, factor, np.zeros(n), f"no leak, dt R = {spelled(factor)}", reset_told(node, steps))


def read_lif(name: str, node: Graph, steps: Steps) -> Neuron:
    """``τ dv/dt = (v_leak - v) + R I``."""
    n = units_of(name, node, "tau")
    tau = discretised(name, per_neuron(name, node, "tau", n), steps.dt, steps.method)
    r, own = per_neuron(name, node, "r", n), threshold(name, node, n, steps)
    share, rest = gain(tau, steps.dt), leak(name, node, n)
    plain = is_unit(share * r)
    own |= {"tau_m": constant(tau), "input_scaling": not plain}
    factor, drive = (np.ones(n), share * rest) if plain else (r, rest)
    leaking = f"v_leak {spelled(rest)} as a bias" if rest.any() else ""
    kept = told([decaying("tau", node, tau, steps), f"R {spelled(r)}", leaking])
    return Neuron(LIF, own, n, factor, drive, kept, reset_told(node, steps))


def read_cuba_lif(name: str, node: Graph, steps: Steps) -> Neuron:
    """``τ_syn di/dt = -i + w_in S`` and ``τ_mem dv/dt = (v_leak - v) + R i``, each with its input held for a step."""
    n = units_of(name, node, "tau_mem")
    tau, tau_syn = (
        discretised(name, per_neuron(name, node, key, n), steps.dt, steps.method) for key in ("tau_mem", "tau_syn")
    )
    r, w_in = (per_neuron(name, node, key, n) for key in ("r", "w_in"))
    if leak(name, node, n).any():
        raise ExchangeError(
            f"node {name!r} (CubaLIF): v_leak differs from v_reset, and a bias of the cell passes its synapse: "
            "expected v_leak = v_reset"
        )
    own = threshold(name, node, n, steps) | {"tau_m": constant(tau), "tau_syn": constant(tau_syn)}
    plain = is_unit(gain(tau_syn, steps.dt) * w_in) and is_unit(gain(tau, steps.dt) * r)
    own["input_scaling"] = not plain
    decays = [decaying("tau_mem", node, tau, steps), decaying("tau_syn", node, tau_syn, steps)]
    kept = told([*decays, f"R {spelled(r)}", f"w_in {spelled(w_in)}"])
    return Neuron(CubaLIF, own, n, np.ones(n) if plain else w_in * r, np.zeros(n), kept, reset_told(node, steps))


def decaying(key: str, node: Graph, tau: np.ndarray, steps: Steps) -> str:
    """A time constant of the file, with its decay in one step."""
    return f"{key} {spelled(scaled(node[key], 3), ' ms')} (decay {spelled(np.exp(-steps.dt / tau))})"


def leak(name: str, node: Graph, n: int) -> np.ndarray:
    """v_leak, measured from the reset potential."""
    return per_neuron(name, node, "v_leak", n) - v_reset(name, node, n)


def v_reset(name: str, node: Graph, n: int) -> np.ndarray:
    """The reset potential, which files of older versions do not have: 0."""
    return per_neuron(name, node, "v_reset", n) if "v_reset" in node else np.zeros(n)


def threshold(name: str, node: Graph, n: int, steps: Steps) -> dict[str, Any]:
    """Threshold, reset and refractory period; the potential is measured from the reset potential, where it starts."""
    height = per_neuron(name, node, "v_threshold", n) - v_reset(name, node, n)
    if not (height > 0.0).all():
        raise ExchangeError(f"node {name!r} ({node['type']}): expected v_threshold above v_reset, for every neuron")
    found = {"type": node["type"], "neko_t_ref": np.zeros(n), "neko_reset": "zero", **noted(node)}
    t_ref = constant(per_neuron(name, found, "neko_t_ref", n))
    return {"v_th": constant(height), "reset": steps.reset or found["neko_reset"], "t_ref": t_ref}


def reset_told(node: Graph, steps: Steps) -> str:
    """What the report says where the reset is not the file's."""
    return f"reset to v_reset, by reset={steps.reset!r}" if steps.reset == "subtract" else ""


READERS = {"IF": read_if, "LIF": read_lif, "CubaLIF": read_cuba_lif}
