"""Layers and the readout of a network of Neko as compartments of the chip."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from neko.cells import LIF, CubaLIF, Learnable
from neko.errors import ExchangeError
from neko.exchange.fixed_point.compartments import Compartments, Weights
from neko.exchange.fixed_point.formats import (
    ALIGN,
    BIAS,
    BIAS_EXPONENTS,
    EXPONENTS,
    LIMIT,
    THRESHOLD,
    UNITY,
    WEIGHT_BITS,
)
from neko.exchange.fixed_point.scale import Scaled, choose, value
from neko.exchange.report import Entry, told
from neko.models.readout import LeakyReadout

WIDEST = THRESHOLD << ALIGN
"""The largest threshold: a neuron with it whose potential stays below never spikes."""


def check_cell(name: str, cell: Any) -> None:
    """ExchangeError with the reason for a neuron that the chip does not have."""
    kind = type(cell).__name__
    if type(cell) not in (LIF, CubaLIF):
        raise ExchangeError(f"{name} is {kind}: the chip has no such neuron; expected LIF or CubaLIF")
    if cell.reset != "zero":
        raise ExchangeError(f"{name} is {kind} with reset={cell.reset!r}: the chip restarts from 0; train with 'zero'")
    if max(cell.refractory_steps) > 1:
        raise ExchangeError(f"{name} is {kind} with t_ref={cell.t_ref!r}: expected none, t_ref=0.0")
    if isinstance(cell, CubaLIF) and cell.bias:
        raise ExchangeError(f"{name} is CubaLIF with a bias before its synapse: the chip adds one behind it")


def layer(
    name: str, cell: Any, learnt: dict[str, np.ndarray], own: dict[str, np.ndarray], bits: int
) -> tuple[Compartments, list[Entry]]:
    """A layer of neurons; `learnt` are the present values of constants that learn, `own` the layer's parameters."""
    check_cell(name, cell)

    def constant(key: str) -> np.ndarray:
        given = getattr(cell, key)
        return np.broadcast_to(
            learnt.get(key, np.asarray(0.0 if isinstance(given, Learnable) else given)), (cell.units,)
        )

    alpha, alpha_s, v_th = np.exp(-cell.dt / constant("tau_m")), np.zeros(cell.units), constant("v_th")
    if isinstance(cell, CubaLIF):
        alpha_s = np.exp(-cell.dt / constant("tau_syn"))
    du, dv = delta(alpha_s, 1, UNITY) - 1, delta(alpha, 0, UNITY - 1)
    gain = (1.0 - alpha) * (1.0 - alpha_s) if cell.input_scaling else np.ones(cell.units)
    tensors = {"w_in": own["w_in"] * gain}
    if cell.recurrent_currents:
        tensors["w_rec"] = own["w_rec"] * gain * (1.0 if cell.autapses else 1.0 - np.eye(cell.units))
    bias = own["b"] * gain if cell.bias else np.zeros(cell.units)

    def compartments(weights: tuple[Weights, ...], vth: Any = None, added: Any = 0) -> Compartments:
        return Compartments(weights[0], weights[1] if len(weights) > 1 else None, du, dv, vth, added)

    def realised(scale: float) -> np.ndarray | None:
        vth = np.rint(scale * v_th / 2.0**ALIGN)
        return vth * 2.0**ALIGN / v_th if vth.min() >= 1.0 else None

    top = THRESHOLD * 2.0**ALIGN / v_th.max()
    if bias.any():
        top = min(top, 0.999 * (BIAS << BIAS_EXPONENTS[-1]) / np.abs(bias).max())
    if realised(top) is None:
        raise ExchangeError(
            f"{name}: thresholds from {v_th.min():g} to {v_th.max():g}, or a bias, need more than 17 bits"
        )
    made, safe = choose(
        list(tensors.values()), bits, top, realised, lambda w: bool(compartments(w).reach().max() < LIMIT)
    )
    vth = np.rint(made.scales * v_th / 2.0**ALIGN).astype(np.int64)
    added = rounded_bias(bias * made.scales)
    found = compartments(made.weights, vth, added)
    entries = [tensor(f"{name}.{key}", w, made, i, bits) for i, (key, w) in enumerate(tensors.items())]
    if not safe:
        most = found.reach().max() / LIMIT
        entries[0] = entries[0]._replace(
            lost=told([entries[0].lost, f"u wraps if all inputs spike for long: it reaches {most:.3g} times 2^23"])
        )
    entries.append(Entry(f"{name}.v_th", "threshold", f"vth {spread(vth)}, which weights are scaled to"))
    entries.append(decay(f"{name}.tau_m", alpha, dv, "dv"))
    if isinstance(cell, CubaLIF):
        entries.append(decay(f"{name}.tau_syn", alpha_s, du + 1, "du + 1"))
    if cell.bias:
        off = np.abs(added / made.scales - bias).max()
        entries.append(Entry(f"{name}.b", "bias", f"{spread(added)}", f"up to {off:.2g} of a potential" if off else ""))
    return found, entries


def outputs(readout: LeakyReadout, w_out: np.ndarray, bits: int) -> tuple[Compartments, float, list[Entry]]:
    """The readout as neurons that never spike, whose potential over the scale is the output without its bias."""
    n = readout.units
    kappa = np.full(n, readout.kappa)
    du, dv = np.full(n, UNITY - 1), delta(kappa, 0, UNITY - 1)
    w, none = w_out * readout.gain, np.zeros(n, np.int64)

    def compartments(weights: tuple[Weights, ...]) -> Compartments:
        return Compartments(weights[0], None, du, dv, None, none)

    def holds(weights: tuple[Weights, ...]) -> bool:
        return bool((compartments(weights).reach() * UNITY).max() < WIDEST * dv.min())

    top = 2.0 ** (WEIGHT_BITS + ALIGN + EXPONENTS[-1]) / (float(np.abs(w).max()) or 1.0)
    made, safe = choose([w], bits, top, lambda scale: np.full(n, scale), holds)
    entry = tensor("readout.w_out", w, made, 0, bits)
    if not safe:
        entry = entry._replace(lost=told([entry.lost, "outputs saturate if all their inputs spike for long"]))
    return compartments(made.weights), float(made.scales[0]), [entry, decay("readout.tau_out", kappa, dv, "dv")]


def delta(alpha: np.ndarray, least: int, most: int) -> np.ndarray:
    """The decay of 12 bits for a factor."""
    found: np.ndarray = np.clip(np.rint((1.0 - alpha) * UNITY), least, most).astype(np.int64)
    return found


def rounded_bias(b: np.ndarray) -> np.ndarray:
    """Biases as mantissas times the least power of two that all of them share."""
    most = float(np.abs(b).max())
    exponent = next((e for e in BIAS_EXPONENTS if most <= BIAS << e), BIAS_EXPONENTS[-1])
    return (np.rint(b / 2.0**exponent).astype(np.int64)) << exponent


def tensor(name: str, w: np.ndarray, made: Scaled, index: int, bits: int) -> Entry:
    """What is kept and lost of a tensor of weights."""
    weights = made.weights[index]
    rms, error = (math.sqrt(float(np.square(a).mean())) for a in (w, value(weights) / made.scales - w))
    zeroed = float(np.mean((weights.mantissas == 0) & (w != 0.0)))
    lost = [f"rms error {100.0 * error / rms:.2g} % of the weights' rms" if error else ""]
    lost.append(f"{100.0 * zeroed:.2g} % became 0" if zeroed else "")
    kept = f"mantissas {weights.mantissas.min()} to {weights.mantissas.max()}, times 2^{weights.exponent + ALIGN}"
    return Entry(name, f"{bits}-bit weights", f"{kept}; 1 is {made.scales.mean():.6g}", told(lost))


def decay(name: str, alpha: np.ndarray, given: np.ndarray, symbol: str) -> Entry:
    """What is kept and lost of a time constant."""
    off = float(np.abs(1.0 - given / UNITY - alpha).max())
    return Entry(name, "decay", f"{symbol} {spread(given)} of 4096", f"up to {off:.2g} of the factor" if off else "")


def spread(values: np.ndarray) -> str:
    """One number, or the least and the largest."""
    return f"{values.min()}" if values.min() == values.max() else f"{values.min()} to {values.max()}"
