"""SGHMC, pSGLD and the cyclical schedule against their laws at a finite step."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg, stats

from neko.samplers import cyclical, psgld, sghmc, sgld
from significance import FALSE_ALARM, MISSED, missed_binomial, missed_normal, p_binomial, p_normal


def standard(xp):
    """The target N(0, 1) in every entry, with the exact gradient."""

    def target(position):
        return -0.5 * sum(xp.sum(xp.square(w)) for w in position.values()), {name: -w for name, w in position.items()}

    return target


def chain(xp, sampler, state, steps, target, step_size, **options):
    """The state after some steps."""
    advance = xp.jit(lambda key, state: sampler.step(xp, key, state, target, step_size, **options)[0])
    for key in xp.unstack(xp.random.split(xp.random.key(0), steps)):
        state = advance(key, state)
    return state


def recursion(epsilon, friction):
    """SGHMC on N(0, 1) as a linear map of (θ, r), and the covariance of what it adds."""
    root = np.sqrt(epsilon)
    move = np.array([[1.0 - epsilon, root * (1.0 - friction)], [-root, 1.0 - friction]])
    kick = np.array([root, 1.0]) * np.sqrt(2.0 * friction)
    return move, np.outer(kick, kick)


@pytest.mark.quick("torch")
@pytest.mark.parametrize(("epsilon", "friction"), [(1.2, 0.3), (0.9, 0.5)])
def test_sghmc_has_the_stationary_law_of_its_step(xp, epsilon, friction):
    """Of position and momentum, by the discrete Lyapunov equation; the controls are π itself, and the law of SGLD."""
    n, steps = 4000, 60
    move, noise = recursion(epsilon, friction)
    stationary = linalg.solve_discrete_lyapunov(move, noise)
    assert stationary[0, 0] == pytest.approx(1.0 / (1.0 - epsilon / (4.0 - 2.0 * friction)), rel=1e-12)
    left = np.linalg.matrix_power(move, steps)
    assert np.abs(left @ stationary @ left.T).max() < 1e-8, "the start at rest in 0 is forgotten"
    target = standard(xp)
    state = sghmc.init(xp, {"a": xp.zeros((n,))}, target)
    state = chain(xp, sghmc, state, steps, target, epsilon, friction=friction)
    found = np.stack([xp.to_numpy(state.position["a"]), xp.to_numpy(state.momentum["a"])], axis=1)
    assert p_normal(found, np.zeros(2), stationary) > FALSE_ALARM
    assert missed_normal(n, np.zeros(2), stationary, np.zeros(2), np.eye(2)) < MISSED
    of_sgld = [[1.0 / (1.0 - epsilon / 2.0)]]
    assert missed_normal(n, [0.0], stationary[:1, :1], [0.0], of_sgld) < MISSED


@pytest.mark.quick("torch")
def test_sghmc_without_inertia_is_sgld(xp):
    target, epsilon = standard(xp), 0.3
    start = {"a": xp.asarray(np.array([0.4, -2.0, 1.0])), "b": xp.asarray(np.array([0.5]))}
    one, other = sghmc.init(xp, start, target), sgld.init(xp, start, target)
    for seed in range(3):
        one, _ = sghmc.step(xp, xp.random.key(seed), one, target, epsilon, friction=1.0)
        other, _ = sgld.step(xp, xp.random.key(seed), other, target, epsilon)
        for name, w in other.position.items():
            np.testing.assert_allclose(xp.to_numpy(one.position[name]), xp.to_numpy(w), rtol=1e-12)


@pytest.mark.quick("torch", "tensorflow")
@pytest.mark.parametrize("sampler", [sgld, sghmc, psgld], ids=lambda sampler: sampler.__name__)
def test_without_noise_they_ascend(xp, sampler):
    """Two keys give one chain, word for word the optimizer's: gradient ascent, with momentum, RMSprop."""
    options = {sgld: {}, sghmc: {"friction": 0.1}, psgld: {"decay": 0.9, "damping": 1e-3}}[sampler]
    target, w, epsilon = standard(xp), np.array([0.4, -2.0, 1.0]), 0.05
    state = sampler.init(xp, {"a": xp.asarray(w)}, target)
    v, square = np.zeros(3), w**2
    for seed in range(3):
        state, info = sampler.step(xp, xp.random.key(seed), state, target, epsilon, noise=0.0, **options)
        assert float(info.logdensity) == pytest.approx(-0.5 * np.sum(w**2))
        v, square = 0.9 * v - epsilon * w, 0.9 * square + 0.1 * w**2
        w = w + {sgld: -epsilon * w, sghmc: v, psgld: -epsilon * w / (1e-3 + np.sqrt(square))}[sampler]
        np.testing.assert_allclose(xp.to_numpy(state.position["a"]), w, rtol=1e-12)


@pytest.mark.quick("torch")
def test_psgld_with_a_fixed_preconditioner_has_the_stationary_variance_of_its_step(xp):
    """``1 / (1 - εG/2)`` with G = 1/(δ + |g|) at the start, for two starts; the controls are 1, and one G for both."""
    n, steps, epsilon, damping = 4000, 40, 1.5, 0.5
    starts = np.repeat([[1.0, 2.0]], n, axis=0)
    target = standard(xp)
    state = psgld.init(xp, {"a": xp.asarray(starts)}, target)
    state = chain(xp, psgld, state, steps, target, epsilon, decay=1.0, damping=damping)
    rate = epsilon / (damping + starts[0])
    stationary = np.diag(1.0 / (1.0 - rate / 2.0))
    assert (np.abs(1.0 - rate) ** steps).max() < 1e-8, "the start is forgotten"
    assert p_normal(xp.to_numpy(state.position["a"]), np.zeros(2), stationary) > FALSE_ALARM
    for control in (np.eye(2), stationary[0, 0] * np.eye(2), stationary[1, 1] * np.eye(2)):
        assert missed_normal(n, np.zeros(2), stationary, np.zeros(2), control) < MISSED


GRID, WIDTH = np.linspace(-8.0, 8.0, 800, endpoint=False, retstep=True)
GRID = GRID + 0.5 * WIDTH
DAMPING = 0.2


def adaptive_law(epsilon):
    """Stationary law on a grid of pSGLD with λ = 0 on N(0, 1): G is that of the present position."""
    rate = epsilon / (DAMPING + np.abs(GRID))[:, None]
    kernel = stats.norm.pdf(GRID[None], (1.0 - rate) * GRID[:, None], np.sqrt(2.0 * rate)) * WIDTH
    kernel = kernel / kernel.sum(axis=1, keepdims=True)
    for _ in range(14):
        kernel = kernel @ kernel
    return kernel[0]


@pytest.mark.quick("torch")
def test_psgld_without_its_correction_is_biased_as_it_says(xp):
    """With λ = 0 the adaptive preconditioner is a function of the position, and the law of a step is known: for small
    ε it is π / G, not π. What is drawn has the law of its finite step; the controls are π, and π / G."""
    n, epsilon, limits = 10_000, 0.5, (0.5, 1.5)
    limit = stats.norm.pdf(GRID) * (DAMPING + np.abs(GRID))
    limit = limit / limit.sum()
    far, near = (np.abs(adaptive_law(e) - limit).sum() for e in (0.08, 0.02))
    assert near < 0.05 < 2.0 * near < far < 0.3 < np.abs(limit - stats.norm.pdf(GRID) * WIDTH).sum()
    law, target = adaptive_law(epsilon), standard(xp)
    starts = np.interp(np.random.default_rng(1).random(n), np.cumsum(law), GRID + 0.5 * WIDTH)
    state = psgld.init(xp, {"a": xp.asarray(starts)}, target)
    state = chain(xp, psgld, state, 20, target, epsilon, decay=0.0, damping=DAMPING)
    found = np.abs(xp.to_numpy(state.position["a"]))
    within = [[law[np.abs(GRID) < c].sum() for c in limits] for law in (law, limit, stats.norm.pdf(GRID) * WIDTH)]
    p = [p_binomial(np.sum(found < c), n, q) for c, q in zip(limits, within[0], strict=True)]
    assert len(p) * min(p) > FALSE_ALARM
    assert abs(np.corrcoef(np.abs(starts), found)[0, 1]) < 0.5, "it moves"
    for control in within[1:]:
        missed = [missed_binomial(n, q, other) for q, other in zip(within[0], control, strict=True)]
        assert min(missed) < MISSED


def test_the_cyclical_schedule_is_the_published_one():
    """``α_k = α_0/2 [cos(π mod(k - 1, ⌈K/M⌉) / ⌈K/M⌉) + 1]`` with K = 23 steps in M = 4 cycles."""
    k, cycle = np.arange(1, 24), -(-23 // 4)
    r = np.mod(k - 1, cycle) / cycle
    found = [cyclical.step_size(int(i), cycle, 0.3) for i in k]
    np.testing.assert_allclose(found, 0.15 * (np.cos(np.pi * r) + 1.0), rtol=1e-12)
    assert [i for i in k if found[i - 1] == 0.3] == [1, 7, 13, 19]
    assert min(found) > 0.0
    for exploration in (0.0, 0.5, 0.8):
        assert [cyclical.exploring(int(i), cycle, exploration) for i in k] == (r < exploration).tolist()
    assert sum(cyclical.exploring(i, 6, 0.5) for i in range(1, 7)) == 3
