"""Dual averaging, running moments and windows of a warm-up, against their definitions, with controls that must fail."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from neko.samplers import adaptation, dual_averaging, moments
from neko.samplers.windows import windows


def begun(method, runs, step_size):
    """The warm-ups of many runs at once: the update is element-wise."""
    state = method.init(step_size)
    spread = {name: np.full(runs, value) for name, value in state._asdict().items() if isinstance(value, float)}
    return state._replace(**spread)


def in_noise(method, wanted, updates, step_size, runs=1000):
    """Errors of the acceptance at the final and at the last step after a warm-up with acceptance e^-ε and noise."""
    rng = np.random.default_rng(0)
    state = begun(method, runs, step_size)
    for _ in range(updates):
        acceptance = np.exp(-np.exp(state.log_step)) + rng.uniform(-0.5, 0.5, size=runs)
        state = method.update(state, acceptance, wanted)
    return tuple(np.exp(-np.exp(log)) - wanted for log in (state.mean, state.log_step))


@pytest.mark.parametrize("wanted", [0.574, 0.8])
def test_dual_averaging_ends_where_the_acceptance_is_wanted(wanted):
    """The answer is ε = -log α*; the mean is nearer to it than the last step is.

    Over 20,000 runs the acceptance is off by 0.007 and 0.009 on average (for the two α*), with deviations of 0.011 and
    0.010. Means of 1,000 runs have a standard error of 0.0004, deviations one of 0.0003: false alarms are events of 9
    standard errors and more. The controls are the last step, with deviations of 0.071 and 0.052, and a warm-up towards
    another acceptance, 0.05 away.
    """
    final, last = in_noise(dual_averaging, wanted, 3000, 1e-4)
    other, _ = in_noise(dual_averaging, wanted - 0.05, 3000, 1e-4)
    assert abs(final.mean()) < 0.02 < abs(other.mean() - 0.05)
    assert final.std() < 0.02 < last.std()


def test_dual_averaging_is_there_early_and_averages_of_robbins_and_monro_late():
    """Why both: from a step that is too small by a factor of 2,000.

    After 30 updates dual averaging is off by 0.077 and Robbins–Monro by 0.25 or more, since its largest steps on the
    log sum up to less than is needed; after 3,000 it is the other way round, 0.007 against 0.0003 (20,000 runs, with
    deviations of single runs below 0.07, so that means of 1,000 have standard errors below 0.0022).
    """
    early = [abs(in_noise(m, 0.574, 30, 1e-4)[0].mean()) for m in (dual_averaging, adaptation)]
    late = [abs(in_noise(m, 0.574, 3000, 1e-4)[0].mean()) for m in (dual_averaging, adaptation)]
    assert early[0] < 0.1 < 0.2 < early[1]
    assert late[1] < 0.003 < late[0]


def test_dual_averaging_follows_its_formula():
    """Two updates by hand, from ε = 0.1 with the target 0.6 and acceptances 1 and 0.5."""
    state = dual_averaging.init(0.1)
    assert dual_averaging.current(state) == dual_averaging.final(state) == pytest.approx(0.1)
    state = dual_averaging.update(dual_averaging.update(state, 1.0, 0.6), 0.5, 0.6)
    first = -0.4 / 11
    second = (11 / 12) * first + 0.1 / 12
    logs = [-20.0 * first, -20.0 * np.sqrt(2.0) * second]  # log 10 · 0.1 is 0
    assert dual_averaging.current(state) == pytest.approx(np.exp(logs[1]))
    weight = 2.0**-0.75
    assert dual_averaging.final(state) == pytest.approx(np.exp(weight * logs[1] + (1.0 - weight) * logs[0]))


@pytest.mark.parametrize("dense", [False, True])
def test_running_moments_are_those_of_all_positions(dense):
    """Far from 0, where sums of squares in place of Welford's would have lost seven digits."""
    positions = 1e4 + np.random.default_rng(1).standard_normal((40, 3)) * np.array([1.0, 0.1, 3.0])
    found = moments.init(3, dense=dense)
    for count, position in enumerate(positions, 1):
        found = moments.update(found, position)
        if count > 1:
            expected = np.cov(positions[:count].T)
            expected = expected if dense else np.diag(expected)
            np.testing.assert_allclose(moments.covariance(found), expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.mean, positions.mean(axis=0), rtol=1e-15)
    small = 1e-3 * 5 / 45 * (np.eye(3) if dense else 1.0)
    np.testing.assert_allclose(moments.regularised(found), 40 / 45 * expected + small, rtol=1e-9)


def test_few_positions_have_a_covariance_with_an_inverse():
    found = moments.init(4, dense=True)
    with pytest.raises(ValueError, match="0 positions have no covariance"):
        moments.covariance(found)
    for position in np.eye(4)[:2]:
        found = moments.update(found, position)
    assert np.linalg.matrix_rank(moments.covariance(found)) == 1
    assert np.linalg.eigvalsh(moments.regularised(found)).min() > 0.5e-3


def test_windows_are_stans():
    """For 1,000 transitions they stand in its manual; for others what must hold of them."""
    assert windows(1000) == [(75, 100), (100, 150), (150, 250), (250, 450), (450, 950)]
    assert windows(49) == []
    for warmup in (50, 100, 149, 150, 151, 200, 333, 5000):
        found = windows(warmup)
        assert found[0][0] == (75 if warmup >= 150 else int(0.15 * warmup))
        assert found[-1][1] == (warmup - 50 if warmup >= 150 else warmup - int(0.1 * warmup))
        assert all(before[1] == after[0] for before, after in itertools.pairwise(found))
        lengths = [end - begin for begin, end in found]
        assert all(b == 2 * a for a, b in itertools.pairwise(lengths[:-1]))
