"""Every device against closed forms and known moments, on every backend."""

from __future__ import annotations

import numpy as np
import pytest

from neko.devices import DEVICES, ConstantStep, DifferentialPair, LinearStep, SoftBounds, get
from significance import FALSE_ALARM, MISSED, missed_normal, p_normal

RANGE = {"g_min": 1e-6, "g_max": 101e-6, "dg_min": 2e-6}
MID, HALF, STEP = 51e-6, 50e-6, 2e-6


def trajectory(xp, device, directions, g0=MID, size=1, seed=0):
    """Conductances after each pulse, (pulses, size), and the last state."""
    key = xp.random.key(seed)
    state = device.init(xp, key, xp.full((size,), g0))
    path = []
    for t, d in enumerate(directions):
        state = device.pulse(xp, xp.random.key(1000 + seed + t), state, xp.full((size,), float(d)))
        path.append(np.array(xp.to_numpy(state.g)))
    return np.array(path), state


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-17)


def test_constant_steps_stop_at_the_bounds(xp):
    up, _ = trajectory(xp, ConstantStep(**RANGE), [1] * 40)
    close(up[:, 0], np.minimum(MID + STEP * np.arange(1, 41), 101e-6))
    down, _ = trajectory(xp, ConstantStep(**RANGE, up_down=0.25), [-1] * 40)
    close(down[:, 0], np.maximum(MID - 0.75 * STEP * np.arange(1, 41), 1e-6))


def test_soft_bounds_follow_their_closed_form(xp):
    k = np.arange(1, 61)
    up, _ = trajectory(xp, SoftBounds(**RANGE), [1] * 60, g0=30e-6)
    close(up[:, 0] - MID, HALF - (HALF - (30e-6 - MID)) * (1.0 - STEP / HALF) ** k)
    down, _ = trajectory(xp, SoftBounds(**RANGE), [-1] * 60, g0=30e-6)
    close(down[:, 0] - MID, -HALF + (HALF + (30e-6 - MID)) * (1.0 - STEP / HALF) ** k)


def test_linear_steps_follow_their_recurrence(xp):
    device = LinearStep(**RANGE, gamma_up=-0.6, gamma_down=0.3)
    k = np.arange(1, 31)
    # x ← x + s (1 + γ x) has the fixed point -1/γ
    up, _ = trajectory(xp, device, [1] * 30)
    close((up[:, 0] - MID) / HALF, np.minimum((1 - (1 - 0.6 * STEP / HALF) ** k) / 0.6, 1.0))
    down, _ = trajectory(xp, device, [-1] * 30)
    close((down[:, 0] - MID) / HALF, np.maximum(-(1 - (1 - 0.3 * STEP / HALF) ** k) / 0.3, -1.0))
    soft, _ = trajectory(xp, LinearStep(**RANGE, gamma_up=-1.0, gamma_down=1.0), [1, -1, -1, 1, 1], g0=20e-6)
    same, _ = trajectory(xp, SoftBounds(**RANGE), [1, -1, -1, 1, 1], g0=20e-6)
    close(soft, same)


@pytest.mark.quick("torch")
@pytest.mark.parametrize("start", [5e-6, 90e-6])
def test_alternating_pulses_pull_soft_bounds_to_the_symmetry_point(xp, start):
    asymmetry = 0.3
    path, _ = trajectory(xp, SoftBounds(**RANGE, up_down=asymmetry), [1, -1] * 200, g0=start)
    # Steps u (1 - x) up and d (1 + x) down have a cycle of two, about the point a where they are equal.
    u, d = (STEP / HALF) * (1 + asymmetry), (STEP / HALF) * (1 - asymmetry)
    upper = (u - d + u * d) / (u + d - u * d)
    found = (path[-2:, 0] - MID) / HALF
    np.testing.assert_allclose(found, [upper, upper - d * (1 + upper)], rtol=1e-4)
    assert found[1] < asymmetry < found[0]
    symmetric, _ = trajectory(xp, SoftBounds(**RANGE), [1, -1] * 200, g0=start)
    assert abs((symmetric[-2:, 0].mean() - MID) / HALF) < 1e-4
    constant, _ = trajectory(xp, ConstantStep(**RANGE), [1, -1] * 150, g0=start)
    close(constant[-1], start)


def assert_normal(found, mean, deviation):
    """Columns (n, 2) of independent numbers with a mean and a deviation.

    False alarm and power as in `significance`; the controls are one number for both columns, and 5 % more deviation.
    """
    n, expected, covariance = len(found), [mean, mean], deviation**2 * np.eye(2)
    assert p_normal(found, expected, covariance) > FALSE_ALARM
    for control in (deviation**2 * np.ones((2, 2)), 1.05**2 * covariance):
        assert missed_normal(n, expected, covariance, expected, control) < MISSED


@pytest.mark.quick("torch")
def test_noise_of_a_pulse_has_its_mean_and_variance(xp):
    """Drawn anew for every pulse."""
    n, noise = 40_000, 0.4
    path, _ = trajectory(xp, ConstantStep(**RANGE, dg_min_std=noise), [1, 1], size=n)
    assert_normal(np.diff(np.concatenate([np.full((1, n), MID), path]), axis=0).T / STEP, 1.0, noise)


def test_spread_is_drawn_once_for_every_device(xp):
    """Up and down steps are independent. A step below zero, which would count as zero, is one in three million."""
    n, spread = 40_000, 0.2
    device = ConstantStep(**RANGE, dg_min_dtod=spread)
    path, state = trajectory(xp, device, [1, 1, -1], size=n)
    steps = np.diff(np.concatenate([np.full((1, n), MID), path]), axis=0) / STEP
    np.testing.assert_allclose(steps[0], steps[1], rtol=1e-9, atol=1e-9)
    assert_normal(np.stack([steps[0], -steps[2]], axis=1), 1.0, spread)
    again, _ = trajectory(xp, device, [1, 1, -1], size=n)
    assert np.array_equal(path, again)
    other, _ = trajectory(xp, device, [1, 1, -1], size=n, seed=1)
    assert not np.array_equal(path, other)
    assert xp.to_numpy(state.step_up).min() >= 0.0


@pytest.mark.quick("torch")
@pytest.mark.parametrize("name", sorted(DEVICES))
def test_bounds_hold_pulses_count_and_no_pulse_moves_nothing(xp, name):
    device = get(name)(**RANGE, dg_min_std=2.0, dg_min_dtod=0.5, g_max_dtod=0.3, up_down=0.2)
    n = 500
    state = device.init(xp, xp.random.key(3), xp.asarray(np.linspace(0.0, 110e-6, n)))
    rng = np.random.default_rng(0)
    expected = np.zeros(n)
    for t in range(60):
        direction = rng.integers(-1, 2, n).astype(float)
        before = np.array(xp.to_numpy(state.g))
        state = device.pulse(xp, xp.random.key(t), state, xp.asarray(direction))
        after = xp.to_numpy(state.g)
        assert np.array_equal(before[direction == 0], after[direction == 0])
        lower, upper, up, down = map(xp.to_numpy, (state.lower, state.upper, state.step_up, state.step_down))
        assert lower.min() >= 0.0
        # a step of exactly nothing is one in 10^15
        moves = (direction != 0) & (lower < before) & (before < upper) & (np.where(direction > 0, up, down) > 0.0)
        assert moves.any()
        assert (before[moves] != after[moves]).all()
        assert (after >= lower).all()
        assert (after <= upper).all()
        expected += np.abs(direction)
    assert np.array_equal(xp.to_numpy(state.pulses), expected)


def test_a_pair_holds_its_weights(xp):
    pair = DifferentialPair(SoftBounds(**RANGE))
    w = np.linspace(-0.5, 0.5, 11)
    state = pair.program(xp, xp.random.key(0), xp.asarray(w), 0.5)
    close(xp.to_numpy(pair.weights(xp, state)), w)
    clipped = pair.program(xp, xp.random.key(0), xp.asarray(4 * w), 0.5)
    close(xp.to_numpy(pair.weights(xp, clipped)), np.clip(4 * w, -0.5, 0.5))
    middle = pair.program(xp, xp.random.key(0), xp.zeros((3,)), 0.5)
    moved = pair.pulse(xp, xp.random.key(1), middle, xp.asarray(np.array([1.0, 0.0, -1.0])))
    close(xp.to_numpy(pair.weights(xp, moved)), pair.weight_step(0.5) * np.array([1.0, 0.0, -1.0]))
    assert pair.weight_step(0.5) == pytest.approx(2 * STEP / (2 * HALF) * 0.5)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: ConstantStep(g_min=2e-3, g_max=1e-3), "g_min=0.002"),
        (lambda: ConstantStep(dg_min=0.0), "dg_min=0.0"),
        (lambda: SoftBounds(dg_min=1.0), "no larger than"),
        (lambda: SoftBounds(up_down=2.0), "up_down=2.0"),
        (lambda: SoftBounds(dg_min_std=-0.1), "dg_min_std=-0.1"),
        (lambda: LinearStep(gamma_up=float("nan")), "gamma_up=nan"),
        (lambda: get("memristor"), "'piecewise', 'power', 'soft_bounds'"),
    ],
)
def test_a_wrong_constant_is_named(wrong, words):
    with pytest.raises(ValueError, match=words):
        wrong()
