"""Rules that carry the influence of the weights, against dense NumPy recursions with the same noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from neko.rules.lowrank.noise import TINY, signs
from neko.verification.cases import Case, Gradients, relative_error
from neko.verification.dense import Dense, DenseLayer, named, record
from neko.verification.oracles import ORACLES
from neko.verification.reference import by_autodiff

Change = list[np.ndarray]
"""A change of the state entries of every layer, (batch, S, …)."""
Estimate = dict[tuple[int, int], Change]
"""By layer and current of the weights, their influence (batch, S, n_pre, n) on every layer."""


@ORACLES.register("layer-local autodiff")
def layer_local(case: Case, rule: Any) -> float:
    """A rule that is exact within a layer against automatic differentiation, in which a lower layer acts on those above
    within a step only."""
    expected = by_autodiff(case.xp, case.evaluator, case.evaluator.network.cells, *case.data, cut_upward=True)[1]
    return relative_error(case.xp, rule.gradients(*case.data)[1], expected)


@ORACLES.register("dense uoro")
def uoro(case: Case, rule: Any) -> float:
    """UORO against its recursion in dense arrays, with the same signs."""
    return deviation(case, rule, uoro_estimates)


@ORACLES.register("dense kf-rtrl")
def kf_rtrl(case: Case, rule: Any) -> float:
    """KF-RTRL against its recursion in dense arrays, with the same signs."""
    return deviation(case, rule, kf_estimates)


@ORACLES.register("dense sketch")
def sketched(case: Case, rule: Any) -> float:
    """Sketched RTRL of each layer against the same reductions of dense matrices; layers above pass credit within a
    step."""
    dense, network = record(case), case.evaluator.network
    w_out = network.readout.gain * np.asarray(case.xp.to_numpy(case.evaluator.params["readout.w_out"])).T
    credit = np.array(dense.error)
    for t in reversed(range(len(credit) - 1)):
        credit[t] += network.readout.kappa * credit[t + 1]
    q, instant = credit @ w_out, dense.error @ w_out
    found = rule.gradients(*case.data)[1]
    expected: Gradients = {}
    for m in reversed(range(len(network.cells))):
        layer, signal = dense.layers[m], q + dense.rate[m]
        n, blocks = layer.z.shape[-1], [np.zeros(())] * len(layer.pre)
        for t, (estimate, _) in enumerate(sketches(layer, rule.gradient.rank)):
            for (_, c), (influence,) in estimate.items():
                blocks[c] = blocks[c] + np.einsum("bz,bzpn->pn", signal[t], influence[:, -n:])
        expected |= named(network.cells[m], m, blocks)
        q = instant = np.einsum("tbz,tbzx->tbx", instant, layer.below[:, :, -n:])
    return relative_error(case.xp, {name: found[name] for name in expected}, expected)


def deviation(case: Case, rule: Any, estimates: Callable[..., Iterator[Estimate]]) -> float:
    """That of a rule's hidden gradients from those of dense estimates of the influence."""
    dense = record(case)
    xp, key = case.xp, case.xp.random.key(rule.gradient.seed)
    key = xp.random.fold(key, rule.steps)

    def noise(t: int, shape: tuple[int, ...]) -> np.ndarray:
        return np.asarray(xp.to_numpy(signs(xp, xp.random.fold(key, t), shape, examples=0)))

    found = rule.gradients(*case.data)[1]
    expected = contracted(case, dense, estimates(case, dense, noise))
    return relative_error(xp, {name: found[name] for name in expected}, expected)


def contracted(case: Case, dense: Dense, estimates: Iterator[Estimate]) -> Gradients:
    """``Σ_t err_t F_t`` with ``F_t = κ F_{t-1} + c W_out^T M_t``, and the rate term."""
    readout, params = case.evaluator.network.readout, case.evaluator.params
    w_out = readout.gain * np.asarray(case.xp.to_numpy(params["readout.w_out"]))
    outputs: dict[Any, Any] = {}
    totals: dict[Any, Any] = {}
    for t, estimate in enumerate(estimates):
        for weights, change in estimate.items():
            z = [m[:, -layer.z.shape[-1] :] for m, layer in zip(change, dense.layers, strict=True)]
            onto = np.einsum("zo,bzpn->bopn", w_out, z[-1])
            outputs[weights] = readout.kappa * outputs.get(weights, 0.0) + onto
            total = np.einsum("bo,bopn->pn", dense.error[t], outputs[weights])
            for error, own in zip(dense.rate, z, strict=True):
                total += np.einsum("bz,bzpn->pn", error[t], own)
            totals[weights] = totals.get(weights, 0.0) + total
    result: Gradients = {}
    for m, cell in enumerate(case.evaluator.network.cells):
        result |= named(cell, m, [totals[m, c] for c in range(len(dense.layers[m].pre))])
    return result


def pushed(dense: Dense, t: int, change: Change, kick: dict[int, np.ndarray]) -> Change:
    """``J_t v + B_t ξ`` through all layers, for changes of states (batch, S, …) and of the currents (batch, k n, …) of
    some layers."""
    later: Change = []
    for i, layer in enumerate(dense.layers):
        new = np.einsum("bsr,br...->bs...", layer.state[t], change[i])
        if i in kick:
            new = new + np.einsum("bsc,bc...->bs...", layer.current[t], kick[i])
        if later:
            new = new + np.einsum("bsz,bz...->bs...", layer.below[t], later[-1][:, -layer.below.shape[-1] :])
        later.append(new)
    return later


def norm(arrays: Any) -> np.ndarray:
    """The norm of several arrays (batch, …) together, (batch,)."""
    return np.sqrt(sum(np.square(a).reshape(len(a), -1).sum(axis=1) for a in arrays)) + TINY


def times(factor: np.ndarray, a: np.ndarray) -> np.ndarray:
    return factor.reshape(-1, *[1] * (a.ndim - 1)) * a


def uoro_estimates(case: Case, dense: Dense, noise: Callable[..., np.ndarray]) -> Iterator[Estimate]:
    """``s θ^T`` at each step."""
    size = dense.error.shape[1]
    s = [np.zeros((size, layer.state.shape[-1])) for layer in dense.layers]
    places = [(m, c) for m, layer in enumerate(dense.layers) for c in range(len(layer.pre))]
    widths = [dense.layers[m].z.shape[-1] for m, _ in places]
    theta = {
        (m, c): np.zeros((size, dense.layers[m].pre[c].shape[-1], n)) for (m, c), n in zip(places, widths, strict=True)
    }
    for t in range(len(dense.error)):
        parts = np.split(noise(t, (size, sum(widths))), np.cumsum(widths)[:-1], axis=1)
        nu = dict(zip(places, parts, strict=True))
        kick = {
            m: np.concatenate([nu[m, c] for c in range(len(layer.pre))], axis=1) for m, layer in enumerate(dense.layers)
        }
        moved = pushed(dense, t, s, {})
        kicked = pushed(dense, t, [0.0 * a for a in s], kick)
        fresh = {(m, c): dense.layers[m].pre[c][t][:, :, None] * nu[m, c][:, None] for m, c in places}
        first = np.sqrt(norm(theta.values()) / norm(moved))
        second = np.sqrt(norm(fresh.values()) / norm(kicked))
        s = [times(first, a) + times(second, b) for a, b in zip(moved, kicked, strict=True)]
        theta = {place: times(1.0 / first, theta[place]) + times(1.0 / second, fresh[place]) for place in places}
        yield {place: [np.einsum("bs,bpn->bspn", a, theta[place]) for a in s] for place in places}


def kf_estimates(case: Case, dense: Dense, noise: Callable[..., np.ndarray]) -> Iterator[Estimate]:
    """``u ⊗ A`` at each step, for each matrix of weights."""
    size = dense.error.shape[1]
    places = [(m, c) for m, layer in enumerate(dense.layers) for c in range(len(layer.pre))]
    u = {(m, c): np.zeros((size, dense.layers[m].pre[c].shape[-1])) for m, c in places}
    a = {
        (m, c): [np.zeros((size, layer.state.shape[-1], dense.layers[m].z.shape[-1])) for layer in dense.layers]
        for m, c in places
    }
    for t in range(len(dense.error)):
        sign = dict(zip(places, noise(t, (len(places), size)), strict=True))
        for m, c in places:
            layer, place = dense.layers[m], (m, c)
            n, pre = layer.z.shape[-1], layer.pre[c][t]
            one = np.zeros((size, n * len(layer.pre), n))
            one[:, c * n : (c + 1) * n] = np.eye(n)
            moved = pushed(dense, t, a[place], {})
            direct = pushed(dense, t, [0.0 * x for x in moved], {m: one})
            first = np.sqrt(norm(moved) / norm([u[place]]))
            second = np.sqrt(norm(direct) / norm([pre]))
            u[place] = times(first, u[place]) + times(sign[place] * second, pre)
            pairs = zip(moved, direct, strict=True)
            a[place] = [times(1.0 / first, x) + times(sign[place] / second, y) for x, y in pairs]
        yield {place: [np.einsum("bp,bsn->bspn", u[place], x) for x in a[place]] for place in places}


def sketches(layer: DenseLayer, rank: int) -> Iterator[tuple[Estimate, np.ndarray]]:
    """The estimate of a layer's influence by sketched RTRL at each step, and the bound (batch,) on its error."""
    (size, states), n = layer.state.shape[1:3], layer.z.shape[-1]
    rows = [pre.shape[-1] for pre in layer.pre]
    own = np.tile(np.eye(n), (states // n, states // n))
    least = n if rank >= states else max(4, math.ceil(rank / 4))
    traces, rest, error = np.zeros((size, states, sum(rows), n)), np.zeros((size, states, sum(rows) * n)), 0.0
    for t, jacobian in enumerate(layer.state):
        passed = np.einsum("bsr,brpn->bspn", (1.0 - own) * jacobian, traces).reshape(rest.shape)
        passed, lost = reduced(passed, least if rank else 0)
        rest, more = reduced(jacobian @ rest + passed, min(rank, states))
        traces = np.einsum("bsr,brpn->bspn", own * jacobian, traces)
        direct = [
            layer.current[t][:, :, None, c * n : (c + 1) * n] * pre[t][:, None, :, None]
            for c, pre in enumerate(layer.pre)
        ]
        traces += np.concatenate(direct, axis=2)
        growth = np.minimum(
            np.linalg.norm(jacobian, axis=(1, 2)),
            np.sqrt(np.linalg.norm(jacobian, 1, axis=(1, 2)) * np.linalg.norm(jacobian, np.inf, axis=(1, 2))),
        )
        error = growth * error + lost + more
        parts = np.split((traces + rest.reshape(traces.shape)), np.cumsum(rows)[:-1], axis=2)
        yield {(0, c): [part] for c, part in enumerate(parts)}, error


def reduced(a: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """The best approximations of a rank of matrices (batch, …), and the norms of what they leave out."""
    u, s, v = np.linalg.svd(a, full_matrices=False)
    return (u[..., :rank] * s[:, None, :rank]) @ v[:, :rank], np.sqrt(np.square(s[:, rank:]).sum(axis=1))
