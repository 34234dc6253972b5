"""The chaotic series: their equations, the order of their integration, their exponents, and the split in time."""

from __future__ import annotations

import numpy as np
import pytest

from neko import datasets
from neko.datasets import chaotic


def order(values):
    """The order of convergence of values by steps h, h / 2 and much less."""
    coarse, fine, exact = values
    return np.log2(np.abs(coarse - exact).max() / np.abs(fine - exact).max())


def test_henon_obeys_its_map_and_has_its_exponent():
    x = chaotic.henon(np.random.default_rng(0), 20000)
    now, before = x[1:-1], x[:-2]
    np.testing.assert_allclose(x[2:], 1.0 - 1.4 * now * now + 0.3 * before, rtol=0, atol=1e-15)
    assert np.abs(x[2:] - (1.0 - 1.41 * now * now + 0.3 * before)).max() > 1e-3
    # The largest Lyapunov exponent, 0.4192 (Sprott 2003, "Chaos and Time-Series Analysis", appendix A).
    tangent, grown = np.array([1.0, 0.0]), 0.0
    for at in x[1000:]:
        tangent = np.array([-2.8 * at * tangent[0] + tangent[1], 0.3 * tangent[0]])
        norm = np.linalg.norm(tangent)
        tangent, grown = tangent / norm, grown + np.log(norm)
    assert grown / len(x[1000:]) == pytest.approx(0.4192, abs=0.02)


def test_lorenz_is_integrated_to_order_four_and_has_its_exponent():
    start = np.array([1.0, 2.0, 3.0])
    assert order([chaotic.lorenz_states(start, 51, step=0.02 / n, every=n) for n in (1, 2, 32)]) == pytest.approx(
        4.0, abs=0.1
    )
    # The largest Lyapunov exponent, 0.9056 (ibid.), from two near trajectories that are moved together every 0.5.
    state = chaotic.lorenz_states(start, 2, step=0.01, every=2000)[1]
    near, grown, pieces = state + np.array([1e-8, 0.0, 0.0]), 0.0, 400
    for _ in range(pieces):
        state, near = (chaotic.lorenz_states(s, 2, step=0.01, every=50)[1] for s in (state, near))
        distance = np.linalg.norm(near - state)
        grown += np.log(distance / 1e-8)
        near = state + (near - state) * (1e-8 / distance)
    assert grown / (0.5 * pieces) == pytest.approx(0.9056, abs=0.1)


def test_mackey_glass_is_its_closed_form_before_the_delay_and_of_order_four_after_it():
    x = chaotic.mackey_glass_values(1.2, 61, per_unit=4)
    t = np.arange(18.0)
    kept = np.exp(-0.1 * t)
    production = 0.2 * 1.2 / (1.0 + 1.2**10)
    np.testing.assert_allclose(x[:18], 1.2 * kept + production / 0.1 * (1.0 - kept), rtol=0, atol=1e-8)
    assert abs(x[30] - (1.2 * np.exp(-3.0) + production / 0.1 * (1.0 - np.exp(-3.0)))) > 1e-2
    assert order([chaotic.mackey_glass_values(1.2, 61, per_unit=n) for n in (2, 4, 64)]) == pytest.approx(4.0, abs=0.1)


@pytest.mark.parametrize("series", chaotic.SERIES)
@pytest.mark.parametrize("horizon", [1, 3])
def test_targets_are_later_samples_and_the_test_is_later_in_time(series, horizon):
    data = datasets.load("chaotic", series=series, train=4, test=3, steps=30, horizon=horizon)
    more = datasets.load("chaotic", series=series, train=8, test=1, steps=30, horizon=horizon)
    whole = np.concatenate([more.x_train.ravel(), more.x_test.ravel()])
    # The longer part to train has another mean and variance: a line through two of its samples maps both.
    train = data.x_train.ravel()
    scale = (train[1] - train[0]) / (whole[1] - whole[0])
    x = train[0] + scale * (whole - whole[0])
    np.testing.assert_allclose(x[:120], train, rtol=0, atol=1e-4)
    np.testing.assert_allclose(x[horizon : 120 + horizon], data.y_train.ravel(), rtol=0, atol=1e-4)
    np.testing.assert_allclose(x[120 + horizon : 210 + horizon], data.x_test.ravel(), rtol=0, atol=1e-4)
    np.testing.assert_array_equal(data.y_test.ravel()[:-horizon], data.x_test.ravel()[horizon:])
    used = np.append(train, data.y_train.ravel()[-horizon:])
    assert used.mean() == pytest.approx(0.0, abs=1e-5)
    assert used.std() == pytest.approx(1.0, abs=1e-5)
    assert data.task_type == "regression"


def test_an_unknown_series_is_refused():
    with pytest.raises(ValueError, match=r"series='logistic': expected one of \('henon', 'lorenz', 'mackey-glass'\)"):
        datasets.load("chaotic", series="logistic")
    with pytest.raises(ValueError, match=r"horizon=0"):
        datasets.load("chaotic", horizon=0)
