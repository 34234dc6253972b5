"""Independent truths: a network unrolled in a plain loop, and automatic differentiation with stated cuts."""

from __future__ import annotations

import numpy as np

from neko.network import recurrent_weights, split


def relative_error(found, expected, xp):
    """Largest deviation over all tensors, each relative to the largest entry of its expectation."""
    assert found.keys() == expected.keys()
    worst = 0.0
    for name in expected:
        a, b = np.asarray(xp.to_numpy(found[name])), np.asarray(xp.to_numpy(expected[name]))
        assert a.shape == b.shape, name
        worst = max(worst, float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-300)))
    return worst


def assert_live(evaluator, x, gradients, xp):
    """The network spikes (2-40 % of the steps), and no gradient vanishes."""
    for cell, states in zip(evaluator.network.cells, evaluator.model.record(x), strict=True):
        if cell.spiking:
            assert 0.02 <= states[-1].mean() <= 0.4, f"rate {states[-1].mean():.3f}"
    for name, g in gradients.items():
        assert np.abs(xp.to_numpy(g)).max() > 1e-8, f"{name} has no gradient"


def currents_of(xp, cell, params, index, x, z):
    """The currents of one step from the definition ``x @ w_in + z @ w_rec + b``."""
    p = {name.split(".")[-1]: w for name, w in params.items() if name.startswith(f"layers.{index}.")}
    n, k = cell.units, cell.n_currents
    total = [xp.zeros((x.shape[0], n)) for _ in range(k)]
    for c, w in zip(cell.input_currents, split(p["w_in"], len(cell.input_currents)), strict=True):
        total[c] = total[c] + x @ w
    w_rec = recurrent_weights(xp, cell, p["w_rec"])
    for c, w in zip(cell.recurrent_currents, split(w_rec, len(cell.recurrent_currents)), strict=True):
        total[c] = total[c] + z @ w
    if cell.bias:
        total = [i + p["b"][c * n : (c + 1) * n] for c, i in enumerate(total)]
    return total


def eprop_by_autodiff(xp, evaluator, params, x, y, mask, feedback=None):
    """Gradients by automatic differentiation of the network with exactly e-prop's paths.

    Kept: each neuron's own state (its spike in the adaptation too), the readout with its filter for the top layer, and
    for lower layers the instantaneous path through the layers above and the readout. Cut: the recurrent
    spike, the reset, the past of the layers above. With `feedback` (one (outputs, n) per layer) credit reaches
    each layer through its own matrix and the readout's filter instead.
    """
    network, objective = evaluator.network, evaluator.objective
    cells = [cell.eligibility_cell() for cell in network.cells]
    kappa, gain = network.readout.kappa, network.readout.gain
    batch = objective.batch(xp, xp.asarray(x), xp.asarray(y), None if mask is None else xp.asarray(mask))
    hold = xp.stop_gradient

    def loss(params):
        held = {name: hold(p) for name, p in params.items()}
        size = batch.x.shape[1]
        states = [cell.initial_state(xp, size) for cell in cells]
        f = xp.zeros((size, network.readout.units))
        outputs, emissions = [], [[] for _ in cells]
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
            frames = xp.sum(batch.valid)
            for cell, zs in zip(cells, emissions, strict=True):
                if cell.spiking:
                    rate = sum(xp.sum(z * batch.valid[t][:, None], axis=0) for t, z in enumerate(zs)) / frames
                    value = value + objective.regularizer.penalty(xp, rate, network.readout.dt)
        return value

    return xp.value_and_grad(loss)(params)[1]
