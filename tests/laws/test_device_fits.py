"""Fits recover the constants of simulated devices, by their own intervals, and the law."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from neko.devices import ConstantStep, ExponentialStep, LinearStep, PiecewiseStep, PowerStep, SoftBounds, fit
from significance import FALSE_ALARM, MISSED, missed_binomial, p_binomial

from pulse_trains import simulated

RANGE = {"g_min": 1e-6, "g_max": 101e-6, "dg_min_std": 0.3}
BOUNDS = RANGE["g_min"], RANGE["g_max"]
TRUE = {
    "constant": ConstantStep(**RANGE, dg_min=8e-7, up_down=0.1),
    "linear": LinearStep(**RANGE, dg_min=1.2e-6, up_down=0.1, gamma_up=-0.5, gamma_down=0.3),
    "soft_bounds": SoftBounds(**RANGE, dg_min=1.5e-6, up_down=-0.1),
    "exponential": ExponentialStep(**RANGE, dg_min=1.5e-6, gamma_up=2.5, gamma_down=2.0, share_up=0.6, share_down=0.8),
    "power": PowerStep(**RANGE, dg_min=1.5e-6, gamma_up=1.8, gamma_down=0.5),
    "piecewise": PiecewiseStep(
        **RANGE, dg_min=1.2e-6, nodes_up=(0.5, 1.6, 1.0, 0.4, 0.9), nodes_down=(1.2, 0.4, 1.0, 2.0, 0.6)
    ),
}
COVERED, CONTROL = 0.95, 0.5
"""What intervals of 95 % cover, and what those of half that width would at most: 67 % of a normal distribution."""


def constants(found, device):
    """Estimates of the device's constants, with the true values."""
    for name, e in found.estimates.items():
        field, bracket, place = name.partition("[")
        if hasattr(device, field) and e.low < e.high:
            true = getattr(device, field)
            yield e, (true[int(place[:-1])] if bracket else true)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name not in ("linear", "piecewise"))) for name in TRUE]
)
def test_a_law_is_found_with_its_constants(name):
    """One device of each law: every constant within 6 standard errors, and of two of them the law among all.

    False alarm: 2e-9 for each of the at most 11 constants. What must be caught is a constant that is wrong by its scale
    (itself, or 1 for what may be 0): 12 standard errors or more, missed with a probability of 1e-9.
    """
    (pulses,) = simulated(TRUE[name], 1, cycles=4, seed=3)
    found = fit(pulses, "auto" if name in ("linear", "power") else name, g_range=BOUNDS)
    assert found.law == name
    checked = list(constants(found, TRUE[name]))
    assert len(checked) >= 3
    for e, true in checked:
        error = (e.high - e.low) / (2.0 * 1.96)
        assert abs(e.value - true) < 6.0 * error, (e, true)
        assert 12.0 * error < (true if e.unit else max(abs(true), 1.0)), e
    assert 2.0 * 11 * stats.norm.sf(6.0) < FALSE_ALARM
    assert stats.norm.cdf(6.0 - 12.0) < MISSED


def test_bounds_are_found_where_steps_vanish():
    """Which no pulse reached, to 6 standard errors: false alarm 2e-9. The control is the largest that was measured."""
    (pulses,) = simulated(TRUE["soft_bounds"], 1, cycles=8, pulses=60, seed=4)
    found = fit(pulses, "soft_bounds", g_range="fit").estimates["g_max"]
    error = (found.high - found.low) / (2.0 * 1.96)
    assert abs(found.value - BOUNDS[1]) < 6.0 * error
    assert found.value - max(train.g.max() for train in pulses.trains) > 12.0 * error
    flat = fit(pulses, "constant", g_range="fit")
    assert flat.undetermined == ("g_min", "g_max")


def test_devices_are_told_apart_from_cycles():
    """Twelve devices, their steps with a spread of 20 %, up and down independent of each other.

    The spread of 24 steps about their two means is χ² of 22 degrees of freedom, beside what the errors of the steps
    add; the limits are its quantiles at 5e-8 for a spread of 20 %. Devices without spread lie below the lower one.
    """
    device = SoftBounds(**RANGE, dg_min=1.5e-6, dg_min_dtod=0.2)
    (pulses,) = simulated(device, 1, devices=12, cycles=2, seed=5)
    found = fit(pulses, "soft_bounds", g_range=BOUNDS)
    spread = found.estimates["dg_min_dtod"]
    low, high = np.sqrt(stats.chi2.ppf([0.5e-7, 1.0 - 0.5e-7], 22) / 22.0)
    assert 0.2 * low < spread.value < 0.2 * high
    assert spread.low < 0.2 < spread.high
    (same,) = simulated(SoftBounds(**RANGE, dg_min=1.5e-6), 1, devices=12, cycles=2, seed=6)
    assert fit(same, "soft_bounds", g_range=BOUNDS).estimates["dg_min_dtod"].value < 0.2 * low
    noise = found.estimates["dg_min_std"]
    assert noise.low / 1.1 < 0.3 < noise.high * 1.1
    assert noise.high - noise.low < 0.05
    assert found.device.dg_min_dtod == spread.value
    assert found.devices == 12


def test_noise_of_measurements_is_told_apart_from_that_of_pulses():
    """Both by their own intervals, widened threefold: false alarm 4e-9 each."""
    (pulses,) = simulated(SoftBounds(**RANGE, dg_min=3e-6), 1, cycles=6, read=0.02, seed=8)
    found = fit(pulses, "soft_bounds", g_range=BOUNDS)
    for name, true in (("dg_min_std", 0.3), ("read_noise", 0.02 * 50e-6)):
        e = found.estimates[name]
        assert abs(np.log(e.value / true)) < 3.0 * np.log(e.high / e.value)
        assert e.high / e.low < 2.0


@pytest.mark.slow
@pytest.mark.parametrize("read", [0.0, 0.01])
@pytest.mark.parametrize("name", TRUE)
def test_intervals_cover_and_the_law_is_the_right_one(name, read):
    """Of 100 measurements. The number of intervals that hold the true constant is binomial, of 95 %.

    False alarm 1e-7 for each constant; intervals that cover half of the time are missed with a probability below 1e-7.
    The right law in 90 or more: that is missed by chance in 1e-7 if it is wrong in 1.2 % of measurements, which the
    Bayesian criterion is for larger laws in P(χ²_k > k log 400), 0.3 % for two constants more.
    """
    assert missed_binomial(100, COVERED, CONTROL) < MISSED
    covers, right = {}, 0
    for pulses in simulated(TRUE[name], 100, read=read, seed=11):
        found = fit(pulses, "auto" if read == 0.0 else name, g_range=BOUNDS)
        right += found.law == name
        own = next(one for one in found.compared if one.law == name)
        for e, true in constants(own, TRUE[name]):
            covers.setdefault(e.name, []).append(e.low <= true <= e.high)
    print(name, read, right, {key: sum(values) for key, values in covers.items()})
    assert right >= 90
    for values in covers.values():
        assert len(values) >= 90
        assert p_binomial(sum(values), len(values), COVERED) > FALSE_ALARM
