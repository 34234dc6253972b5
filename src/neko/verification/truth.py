"""Independent truths: a network unrolled in a plain loop, and automatic differentiation with stated cuts.

Nothing of neko is imported: what is judged must not be its own judge.
"""

from __future__ import annotations

from typing import Any


def currents_of(xp: Any, cell: Any, params: dict[str, Any], index: int, x: Any, z: Any) -> list[Any]:
    """The currents of one step from the definition ``x @ w_in + z @ w_rec + b``."""
    p = {name.split(".")[-1]: w for name, w in params.items() if name.startswith(f"layers.{index}.")}
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


def unrolled_loss(
    xp: Any,
    cells: Any,
    params: dict[str, Any],
    x: Any,
    loss_fn: Any,
    *,
    cut_recurrent: bool,
    cut_upward: bool,
    kappa: float,
    readout_scaling: bool,
) -> Any:
    """Loss of a stack of cells with a leaky readout, in a plain loop that automatic differentiation can follow.

    ``y_t = f_t + b_out``, ``f_t = κ f_{t-1} + c z_t W_out``, c = 1 - κ with `readout_scaling`, else 1; `x` is (time,
    batch, n_in), and `loss_fn` gets the outputs (time, batch, n_out). The value does not depend on the cuts:

    - `cut_recurrent`: the emission in ``z_{t-1} @ w_rec`` is a constant.
    - `cut_upward`: the emission of a lower layer acts on the layers above and the readout within its own step only,
      not through their states (nor the filter f).

    A reset is part of the cell: pass a cell that detaches it where it is to be cut.
    """
    hold = xp.stop_gradient
    gain = 1.0 - kappa if readout_scaling else 1.0
    held = {name: hold(p) for name, p in params.items()}
    w_out, batch = params["readout.w_out"], x.shape[1]
    states = [cell.initial_state(xp, batch) for cell in cells]
    f = xp.zeros((batch, w_out.shape[1]))
    outputs = []
    for t in range(x.shape[0]):
        # `lifted` has the value of z; with the upward cut it alone carries the derivative of the layers below.
        z = lifted = x[t]
        for i, cell in enumerate(cells):
            before = states[i]
            fed_back = hold(before[-1]) if cut_recurrent else before[-1]
            below = hold(z) if cut_upward else z
            states[i] = cell.dynamics(xp, before, *currents_of(xp, cell, params, i, below, fed_back))
            z = states[i][-1]
            if cut_upward and i > 0:
                rest = type(before)(*(None if a is None else hold(a) for a in before))
                instant = cell.dynamics(xp, rest, *currents_of(xp, cell, held, i, lifted, hold(fed_back)))[-1]
                lifted = z + (instant - hold(instant))
            else:
                lifted = z
        f = kappa * f + gain * (z @ w_out)
        y = f + params["readout.b_out"]
        if cut_upward:
            y = y + gain * ((lifted - z) @ held["readout.w_out"])
        outputs.append(y)
    return loss_fn(xp.stack(outputs, axis=0))


def eprop_by_autodiff(
    xp: Any, evaluator: Any, params: dict[str, Any], x: Any, y: Any, mask: Any, feedback: Any = None
) -> dict[str, Any]:
    """Gradients by automatic differentiation of the network with exactly e-prop's paths.

    Kept: each neuron's own state (its spike in the adaptation too), the readout with its filter for the top layer, and
    for lower layers the instantaneous path through the layers above and the readout. Cut: the recurrent
    spike, the reset, the past of the layers above. With `feedback` (one (outputs, n) per layer) credit reaches
    each layer through its own matrix and the readout's filter instead.
    """
    network, objective = evaluator.network, evaluator.objective
    cells = [cell.eligibility_cell() for cell in network.cells]
    kappa, gain = network.readout.kappa, network.readout.gain
    batch = evaluator.batch(xp.asarray(x), xp.asarray(y), None if mask is None else xp.asarray(mask))
    hold = xp.stop_gradient

    def loss(params: dict[str, Any]) -> Any:
        held = {name: hold(p) for name, p in params.items()}
        size = batch.x.shape[1]
        states = [cell.initial_state(xp, size) for cell in cells]
        f = xp.zeros((size, network.readout.units))
        outputs: list[Any] = []
        emissions: list[list[Any]] = [[] for _ in cells]
        for t in range(batch.x.shape[0]):
            own, through = batch.x[t], batch.x[t]
            for i, cell in enumerate(cells):
                before, recurrent = states[i], hold(states[i][-1])
                states[i] = cell.dynamics(xp, before, *currents_of(xp, cell, params, i, hold(own), recurrent))
                own = states[i][-1]
                emissions[i].append(own)
                if i == 0 or feedback is not None:
                    through = own
                else:
                    # What the layers below add in this step: the value of own, and their derivative on top.
                    still = type(before)(*(None if a is None else hold(a) for a in before))
                    step = cell.dynamics(xp, still, *currents_of(xp, cell, held, i, through, recurrent))
                    through = own + (step[-1] - hold(step[-1]))
            if feedback is None:
                f = kappa * f + gain * (own @ params["readout.w_out"])
                below = through - own
                outputs.append(f + params["readout.b_out"] + gain * (below @ held["readout.w_out"]))
            else:
                credit = sum(emissions[i][t] @ hold(xp.matrix_transpose(b)) for i, b in enumerate(feedback))
                f = kappa * f + gain * (hold(own) @ params["readout.w_out"] + credit - hold(credit))
                outputs.append(f + params["readout.b_out"])
        value = objective.value(xp, xp.stack(outputs, axis=0), batch)
        if objective.regularizer is not None:
            term, each = objective.regularizer, xp.sum(batch.valid, axis=0)
            for cell, zs in zip(cells, emissions, strict=True):
                if cell.spiking:
                    counts = sum(z * batch.valid[t][:, None] for t, z in enumerate(zs))
                    if term.per_sequence:
                        rates, share = counts / each[:, None], 1.0 / size
                    else:
                        rates, share = xp.sum(counts, axis=0) / xp.sum(each), 1.0
                    away = rates - term.target * network.readout.dt / 1000.0
                    value = value + 0.5 * term.strength * share * xp.sum(xp.square(away))
        return value

    return xp.value_and_grad(loss)(params)[1]
