"""The oracle of spike-timing rules: the sum over all pairs of spikes by the definition, without any trace."""

from __future__ import annotations

from typing import Any

import numpy as np

from neko.verification.cases import Case, Gradients, max_relative_error, on_host
from neko.verification.oracles import ORACLES
from neko.verification.reference import by_autodiff, unrolled


@ORACLES.register("spike pairs")
def spike_pairs(case: Case, rule: Any) -> float:
    """The window of every pair of an arrival and a spike, and automatic differentiation for the readout."""
    own = rule.gradient
    _, spikes, _ = passed(case)
    ones = np.ones((len(spikes[0]), len(case.x)))
    found = on_host(case.xp, rule.gradients(*case.data)[1])
    return max_relative_error(found, expected(case, own, spikes, ones, 0.0))


@ORACLES.register("rewarded pairs")
def rewarded_pairs(case: Case, rule: Any) -> float:
    """As `spike_pairs`, where a pair meets every later reward beyond the mean over the batch; by default a reward is
    minus the loss of a frame."""
    own, xp = rule.gradient, case.xp
    outputs, spikes, batch = passed(case)
    reward = -np.asarray(xp.to_numpy(case.evaluator.objective.loss(xp, outputs, batch.target)))
    valid = case.mask.T
    expectation = [row[seen > 0].mean() if seen.any() else 0.0 for row, seen in zip(reward, valid, strict=True)]
    modulator = valid * (reward - np.array(expectation)[:, None])
    decay = np.exp(-case.evaluator.network.readout.dt / own.tau_eligibility)
    found = on_host(xp, rule.gradients(*case.data)[1])
    return max_relative_error(found, expected(case, own, spikes, modulator, decay))


def passed(case: Case) -> tuple[np.ndarray, list[np.ndarray], Any]:
    """Outputs (time, batch, n_out) and spikes (time, batch, n) of every layer in a plain loop, and the batch."""
    xp, model = case.xp, case.evaluator
    x, y, mask = (xp.asarray(a) for a in case.data)
    batch, readout = model.batch(x, y, mask), model.network.readout
    outputs, spikes = unrolled(xp, model.network.cells, model.params, batch.x, kappa=readout.kappa, gain=readout.gain)
    return outputs, [np.stack([xp.to_numpy(z) for z in zs]) for zs in spikes], batch


def expected(case: Case, rule: Any, spikes: list[np.ndarray], modulator: np.ndarray, decay: float) -> Gradients:
    """The gradients of a rule with a modulator (time, batch) and the decay of a step of its eligibility."""
    model = case.evaluator
    params = on_host(case.xp, model.params)
    exact = on_host(case.xp, by_autodiff(case.xp, model, model.network.cells, *case.data)[1])
    result = {name: exact[name] if name.startswith("readout.") else np.zeros_like(p) for name, p in params.items()}
    valid, pre = case.mask.T[:, :, None], np.swapaxes(case.x, 0, 1)
    for i, (cell, z) in enumerate(zip(model.network.cells, spikes, strict=True)):
        delayed = np.concatenate([np.zeros_like(z[:1]), z[:-1]])
        for name, arrivals in (("w_in", pre), ("w_rec", delayed)):
            w = params.get(f"layers.{i}.{name}")
            if w is not None:
                causal, acausal = (
                    np.tile(a, (1, w.shape[1] // cell.units))
                    for a in pairs(rule, cell.dt, valid * arrivals, valid * z, modulator, decay)
                )
                up, down = (1.0, 1.0) if rule.w_max is None else (rule.w_max - w, w)
                change = rule.a_plus * up * causal - rule.a_minus * down * acausal
                if name == "w_rec" and not cell.autapses:
                    change = change * np.tile(1.0 - np.eye(cell.units), (1, w.shape[1] // cell.units))
                result[f"layers.{i}.{name}"] = -change / z.shape[1]
        pre = z
    return result


def pairs(
    rule: Any, dt: float, pre: np.ndarray, post: np.ndarray, modulator: np.ndarray, decay: float
) -> tuple[np.ndarray, np.ndarray]:
    """``Σ e^{-|Δ|/τ} G`` over the pairs with Δ ≥ 0 and over those with Δ < 0, (n_pre, n); the pair of step s and step t
    meets ``G = Σ_{u ≥ max(s, t)} decay^{u - max(s, t)} modulator_u``."""
    step = np.arange(len(pre))
    lag = dt * np.subtract.outer(step, step)  # of the spike in row t behind the arrival in column s
    age = np.subtract.outer(step, step)
    met = np.where(age >= 0, float(decay) ** np.maximum(age, 0), 0.0).T @ modulator
    known = np.maximum.outer(step, step)
    windows = (
        np.where(lag >= 0, np.exp(-np.abs(lag) / rule.tau_plus), 0.0),
        np.where(lag < 0, np.exp(-np.abs(lag) / rule.tau_minus), 0.0),
    )
    causal, acausal = (np.einsum("ts,tsb,sbp,tbn->pn", window, met[known], pre, post) for window in windows)
    return causal, acausal
