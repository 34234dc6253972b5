"""Measures of codes and the search of their options, against closed forms."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from neko.encoders import ENCODERS, Encoder, measures, resolve, tune
from neko.encoders.burst import Burst

RAMP = np.linspace(0.0, 1.0, 20_001)
"""Each value of the range equally often."""


def test_measures_of_small_examples():
    assert measures.snr([3.0, 4.0], [3.0, 3.5]) == 20.0  # 10 log10(25 / 0.25)
    assert measures.snr([1.0, -1.0], [1.0, -1.0]) == math.inf
    assert measures.snr([0.0, 0.0], [1.0, 0.0]) == -math.inf
    assert measures.snr(np.full((2, 3, 1), 10.0), np.full((2, 3, 1), 9.0)) == pytest.approx(20.0)
    assert measures.rmse([0.0, 0.0, 0.0, 0.0], [1.0, -1.0, 1.0, 1.0]) == 1.0
    assert measures.density([1.0, -1.0, 0.0, 1.0, 0.0, 0.0], [0.3, 0.2, 0.1]) == 1.0
    with pytest.raises(ValueError, match=r"reconstruction has shape \(1,\): expected \(2,\)"):
        measures.snr([1.0, 2.0], [1.0])


@pytest.mark.parametrize(
    ("name", "option", "rmse", "density"),
    [
        # errors that are uniform between 0 and a bound have the root mean square bound / √3
        ("rate", "steps", lambda n: 1 / (2 * n), lambda n: n / 2),
        ("phase", "steps", lambda n: 2.0**-n, lambda n: n / 2),
        ("place", "cells", lambda n: 1 / (2 * n), lambda n: 1.0),
    ],
)
def test_errors_and_densities_of_a_ramp_are_those_of_rounding(name, option, rmse, density):
    found = tune(name, RAMP, progress=False)
    assert len(found.rows) >= 6
    for row in found.rows:
        n = row.parameters[option]
        assert row.rmse == pytest.approx(rmse(n) / math.sqrt(3), rel=0.02)
        assert row.density == pytest.approx(density(n), rel=0.01)
        assert row.snr == pytest.approx(10 * math.log10(1 / (3 * row.rmse**2)), abs=0.01)
        assert row.encoder == resolve(f"{name}({option}={n})")


@pytest.mark.parametrize("name", [name for name in ENCODERS if ENCODERS[name].invertible])
def test_every_invertible_code_has_a_front_that_no_row_beats(name):
    x = np.random.default_rng(0).normal(size=(2, 60, 2)).cumsum(axis=1)
    found = tune(name, x, progress=False)
    front = found.front
    assert {row.encoder for row in front} <= {row.encoder for row in found.rows}
    assert [row.density for row in front] == sorted(row.density for row in front)
    for row in found.rows:
        assert any(other.density <= row.density and other.snr >= row.snr for other in front)
    for row in front:
        assert not any(other.density <= row.density and other.snr > row.snr for other in found.rows)
        spikes = row.encoder.encode(x)
        assert row.density == pytest.approx(abs(spikes).sum() / x.size)
        assert row.rmse == pytest.approx(measures.rmse(x, measures.reconstruction(row.encoder, x, spikes)))
    assert tune(name, x, progress=False).rows == found.rows


def test_the_best_row_within_a_budget():
    found = tune("rate", RAMP, progress=False)
    assert found.best().parameters["steps"] == 64
    assert found.best(density=4.1).parameters["steps"] == 8
    with pytest.raises(ValueError, match=r"density=0\.4: expected at least 0\.5 spikes per sample"):
        found.best(density=0.4)


def test_options_that_are_given_are_kept_and_the_range_is_that_of_the_signals():
    x = 4.0 * RAMP - 1.0
    assert {row.encoder.high for row in tune("rate", x, progress=False).rows} == {3.0}
    kept = tune("rate(low=-9.0, high=3.5)", x, progress=False).rows
    assert {(row.encoder.low, row.encoder.high) for row in kept} == {(-9.0, 3.5)}
    assert "low" not in kept[0].parameters
    burst = tune(Burst(t_min=2, steps=16, n_max=3), x, space={"n_max": [5], "t_max": [4, 7, 99]}, progress=False)
    made = {row.encoder for row in burst.rows}
    assert made == {Burst(n_max=5, t_max=t, low=-1.0, high=3.0) for t in (4, 7)}  # 99 does not fit


def test_an_own_code_and_its_space():
    @dataclass(frozen=True)
    class Above(Encoder):
        """A spike where the signal is above a level."""

        invertible = True
        level: float = 0.5

        @classmethod
        def space(cls, x):
            return {"level": [0.25, 0.5, 0.75]}

        def code(self, x):
            return x > self.level

        def decode(self, spikes):
            return np.where(np.asarray(spikes) > 0, 1.0, self.level)

    found = tune(Above, RAMP, progress=False)
    assert [row.parameters["level"] for row in found.rows] == [0.75, 0.5, 0.25]
    assert [row.density for row in found.rows] == pytest.approx([0.25, 0.5, 0.75], abs=1e-3)
    (only,) = tune(Above(0.4), RAMP, space={"level": [0.1]}, progress=False).rows
    assert only.encoder == Above(0.1)


def test_progress_goes_to_the_error_stream(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    tune("rate", RAMP[::100])
    out, err = capsys.readouterr()
    assert out == ""
    assert "tuning" in err


@pytest.mark.parametrize(
    ("code", "signals", "options", "error", "message"),
    [
        ("poisson", RAMP, {}, ValueError, "code='poisson' has no decode"),
        ("rate", np.ones(5), {}, ValueError, r"signals are .*1\.0.* throughout: expected signals that vary"),
        ("rat", RAMP, {}, ValueError, "encoder 'rat': expected one of"),
        ("rate", RAMP, {"space": {"steps": [0]}}, ValueError, "expected at least one valid combination; .*steps=0"),
        (Burst(), RAMP, {"space": {}}, ValueError, "space={}: expected options to try"),
        (object(), RAMP, {}, TypeError, "expected a name, a class or an encoder that is a dataclass"),
        ("rate", [[1.0, 2.0]], {}, ValueError, r"signals has shape \(1, 2\)"),
    ],
)
def test_what_cannot_be_tuned_is_refused(code, signals, options, error, message):
    with pytest.raises(error, match=message):
        tune(code, signals, progress=False, **options)
