"""Independent references: a network unrolled in a plain loop, and automatic differentiation with stated cuts.

Nothing of neko is imported, so that the reference shares no code with what it verifies.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np


def currents_of(xp: Any, cell: Any, params: dict[str, Any], index: int, x: Any, z: Any) -> list[Any]:
    """The currents of one step from the definition ``x @ w_in + z @ w_rec + b``."""
    prefix = f"layers.{index}."
    p = {name.removeprefix(prefix): w for name, w in params.items() if name.startswith(prefix)}
    n = cell.units
    keep = xp.ones((n, n)) if cell.autapses else 1.0 - xp.eye(n)
    total = [xp.zeros((x.shape[0], n)) for _ in range(cell.n_currents)]
    for block, c in enumerate(cell.input_currents):
        total[c] = total[c] + x @ p["w_in"][:, block * n : (block + 1) * n]
    for block, c in enumerate(cell.recurrent_currents):
        total[c] = total[c] + z @ (keep * p["w_rec"][:, block * n : (block + 1) * n])
    if "b" in p:
        total = [i + p["b"][c * n : (c + 1) * n] for c, i in enumerate(total)]
    return total


def constants_of(params: dict[str, Any], index: int) -> list[str]:
    """The names of the parameters of a layer's constants that learn."""
    return [name for name in params if name.startswith(f"layers.{index}.constants.")]


def with_constants(xp: Any, cell: Any, params: dict[str, Any], index: int) -> Any:
    """A copy of a cell whose constants that learn have the values that their definition gives for `params`."""
    made = copy.copy(cell)
    for full in constants_of(params, index):
        name = full.rpartition(".")[2]
        constant, theta = getattr(cell, name), params[full] + xp.zeros((cell.units,))
        c, low, high = np.asarray(constant.value), constant.low, constant.high
        if low is not None:
            odds = xp.exp(theta) * xp.asarray((c - low) / (high - c))
            value = low + (high - low) * odds / (1.0 + odds)
        elif constant.map == "exp":
            value = xp.asarray(c) * xp.exp(theta)
        elif constant.map == "softplus":
            value = xp.log1p(xp.exp(theta) * xp.asarray(np.expm1(c)))
        else:
            value = xp.asarray(c) + theta
        object.__setattr__(made, name, value)
    return made


def unrolled(
    xp: Any,
    cells: Any,
    params: dict[str, Any],
    x: Any,
    *,
    kappa: float,
    gain: float,
    cut_recurrent: bool = False,
    cut_upward: bool = False,
    feedback: Any = None,
) -> tuple[Any, list[list[Any]]]:
    """A stack of cells with a leaky readout, in a plain loop that automatic differentiation can follow.

    ``y_t = f_t + b_out``, ``f_t = κ f_{t-1} + gain z_t W_out``; `x` is (time, batch, n_in). Returned are the outputs
    (time, batch, n_out) and the emissions of every layer, a list of (batch, n) over time for each. The values do not
    depend on the cuts:

    - `cut_recurrent`: the emission in ``z_{t-1} @ w_rec`` is a constant.
    - `cut_upward`: the emission of a lower layer acts on the layers above and the readout within its own step only,
      not through their states (nor the filter f).
    - `feedback` (one (outputs, n) per layer): credit reaches each layer through its own matrix and the readout's
      filter, in place of W_out and the layers above.

    A reset is part of the cell: pass cells that detach it where it is to be cut.
    """
    hold = xp.stop_gradient
    held = {name: hold(p) for name, p in params.items()}
    w_out, b_out, batch = params["readout.w_out"], params["readout.b_out"], x.shape[1]
    states = [cell.initial_state(xp, batch) for cell in cells]
    fixed = [with_constants(xp, cell, held, i) for i, cell in enumerate(cells)]
    cells = [with_constants(xp, cell, params, i) for i, cell in enumerate(cells)]
    f = xp.zeros((batch, w_out.shape[1]))
    outputs: list[Any] = []
    emissions: list[list[Any]] = [[] for _ in cells]
    for t in range(x.shape[0]):
        # `lifted` has the value of z; with the upward cut it alone carries the derivative of the layers below.
        z = lifted = x[t]
        for i, cell in enumerate(cells):
            before = states[i]
            fed_back = hold(before[-1]) if cut_recurrent else before[-1]
            below = hold(z) if cut_upward else z
            states[i] = cell.dynamics(xp, before, *currents_of(xp, cell, params, i, below, fed_back))
            z = states[i][-1]
            emissions[i].append(z)
            if cut_upward and i > 0:
                rest = type(before)(*(None if a is None else hold(a) for a in before))
                instant = fixed[i].dynamics(xp, rest, *currents_of(xp, cell, held, i, lifted, hold(fed_back)))[-1]
                lifted = z + (instant - hold(instant))
            else:
                lifted = z
        if feedback is None:
            f = kappa * f + gain * (z @ w_out)
            outputs.append(f + b_out + gain * ((lifted - z) @ held["readout.w_out"]))
        else:
            credit = sum(own[t] @ hold(xp.matrix_transpose(b)) for own, b in zip(emissions, feedback, strict=True))
            f = kappa * f + gain * (hold(z) @ w_out + credit - hold(credit))
            outputs.append(f + b_out)
    return xp.stack(outputs, axis=0), emissions


def rate_penalty(xp: Any, evaluator: Any, emissions: list[list[Any]], batch: Any) -> Any:
    """``c/2 Σ (f - f_0)²`` over spiking neurons from the definition, of the rates of a batch or of each sequence."""
    term, valid, total = evaluator.objective.regularizer, batch.valid, 0.0
    for cell, zs in zip(evaluator.network.cells, emissions, strict=True):
        if term is not None and cell.spiking:
            counts = sum(z * valid[t][:, None] for t, z in enumerate(zs))
            if term.per_sequence:
                rates, share = counts / xp.sum(valid, axis=0)[:, None], 1.0 / valid.shape[1]
            else:
                rates, share = xp.sum(counts, axis=0) / xp.sum(valid), 1.0
            away = rates - term.target * evaluator.network.readout.dt / 1000.0
            total = total + 0.5 * term.strength * share * xp.sum(xp.square(away))
    return total


def by_autodiff(
    xp: Any, evaluator: Any, cells: Any, x: Any, y: Any, mask: Any = None, **cuts: Any
) -> tuple[Any, dict[str, Any]]:
    """The loss, and the gradients of it and of its penalty on firing rates together, by automatic differentiation.

    `cells` are those of the evaluator's network, or copies that detach a path; `cuts` are the options of `unrolled`.
    """
    readout = evaluator.network.readout
    batch = evaluator.batch(xp.asarray(x), xp.asarray(y), None if mask is None else xp.asarray(mask))

    def run(params: dict[str, Any]) -> tuple[Any, Any]:
        outputs, emissions = unrolled(xp, cells, params, batch.x, kappa=readout.kappa, gain=readout.gain, **cuts)
        loss = evaluator.objective.value(xp, outputs, batch)
        return loss + rate_penalty(xp, evaluator, emissions, batch), loss

    (_, loss), gradients = xp.value_and_grad(run, has_aux=True)(evaluator.params)
    return loss, gradients


def eprop_by_autodiff(xp: Any, evaluator: Any, cells: Any, *data: Any, feedback: Any = None) -> dict[str, Any]:
    """Gradients by automatic differentiation of the network with exactly e-prop's paths.

    Kept: each neuron's own state (its spike in the adaptation too), the readout with its filter for the top layer, and
    for lower layers the instantaneous path through the layers above and the readout. Cut: the recurrent
    spike, the past of the layers above, and whatever `cells` detach, as the reset.
    """
    return by_autodiff(xp, evaluator, cells, *data, cut_recurrent=True, cut_upward=True, feedback=feedback)[1]
