"""The oracle of KeRNL: its traces and its prediction of the perturbed network, from dense Jacobians in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from neko.verification import dense
from neko.verification.cases import Case, Gradients, on_host
from neko.verification.oracles import ORACLES
from neko.verification.oracles.traces import compared


@ORACLES.register("kernel")
def kernel(case: Case, rule: Any) -> float:
    """Traces with the decay of their neurons, the error through A, and the gradient of the prediction error."""
    found, feedback = on_host(case.xp, rule.gradients(*case.data)[1]), on_host(case.xp, rule.feedback)
    leak = case.evaluator.network.readout.dt / np.exp(feedback["kernel.log_tau"])
    a, decay = feedback["kernel.sensitivity"], np.exp(-leak)
    recorded = dense.record(case)
    expected = weights(case, recorded, a, decay, feedback.get("feedback.0"))
    if rule.gradient.learn_kernel:
        of_a, of_decay = prediction(recorded.layers[0], case.mask.T, noise(case, rule), a, decay)
        rate = rule.gradient.kernel_rate / len(case.x)
        expected |= {"kernel.sensitivity": rate * of_a, "kernel.log_tau": rate * decay * leak * of_decay}
    return compared(case, found, expected)


def weights(case: Case, recorded: dense.Dense, a: np.ndarray, decay: np.ndarray, onto: np.ndarray | None) -> Gradients:
    """The gradients of the weights; `onto` (outputs, n) is the feedback in place of the transposed readout."""
    (cell,), (layer,), readout = case.evaluator.network.cells, recorded.layers, case.evaluator.network.readout
    onto = on_host(case.xp, case.evaluator.params)["readout.w_out"].T if onto is None else onto
    n, blocks = cell.units, []
    for c, pre in enumerate(layer.pre):
        slope = np.einsum("tbnn->tbn", layer.current[:, :, -n:, c * n : (c + 1) * n])
        e, filtered = np.zeros((pre.shape[1], pre.shape[2], n)), 0.0
        total = np.zeros(e.shape[1:])
        for t in range(len(pre)):
            e = decay * e + pre[t][:, :, None] * slope[t][:, None]
            filtered = readout.kappa * filtered + e
            signal = readout.gain * recorded.error[t] @ onto @ a.T
            total += np.einsum("bn,bpn->pn", signal, filtered) + np.einsum("bn,bpn->pn", recorded.rate[0][t], e)
        blocks.append(total)
    return dense.named(cell, 0, blocks)


def prediction(
    layer: dense.DenseLayer, valid: np.ndarray, kicks: np.ndarray, a: np.ndarray, decay: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The gradients by A and γ of ``Σ_t ½ ‖Ω_t A - δz_t‖²`` over valid frames, for noise (time, batch, k n)."""
    n = layer.z.shape[-1]
    change, past = np.zeros(layer.state.shape[1:3]), []
    of_a, of_decay = np.zeros_like(a), np.zeros_like(decay)
    for t, kick in enumerate(kicks):
        fresh = np.einsum("bsk,bk->bs", layer.current[t][:, :, : kick.shape[-1]], kick)
        change = np.einsum("bsr,br->bs", layer.state[t], change) + fresh
        past.append(fresh[:, -n:])
        ages = np.arange(t, -1, -1.0)[:, None]
        omega = np.einsum("sn,sbn->bn", decay**ages, np.stack(past))
        slope = np.einsum("sn,sbn->bn", ages * decay ** np.maximum(ages - 1.0, 0.0), np.stack(past))
        away = valid[t][:, None] * (omega @ a - change[:, -n:])
        of_a += np.einsum("bj,bk->jk", omega, away)
        of_decay += np.einsum("bj,bk,jk->j", slope, away, a)
    return of_a, of_decay


def noise(case: Case, rule: Any) -> np.ndarray:
    """The noise (time, batch, k n) before the next update of a rule, by its definition."""
    xp, (cell,) = case.xp, case.evaluator.network.cells
    key = xp.random.fold(xp.random.key(rule.gradient.seed), rule.steps)
    keys = [xp.random.fold(key, t) for t in range(case.x.shape[1])]
    return np.stack([xp.to_numpy(xp.random.normal(k, (len(case.x), cell.n_currents * cell.units))) for k in keys])
