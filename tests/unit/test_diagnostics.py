"""Whether chains agree: ArviZ's numbers, the test for a trend, and the verdict."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import stats
from scipy.signal import lfilter

from neko.bayes import diagnostics
from neko.bayes.diagnostics import LEVEL, Mixing, Trend, mixing, trend
from neko.bayes.packages import arviz
from neko.bayes.posterior import Posterior
from significance import FALSE_ALARM, MISSED, missed_binomial, p_binomial

CHAINS, DRAWS = 3, 200


def predictions(seed=0, apart=0.0, chains=CHAINS, draws=DRAWS, examples=6):
    """Independent draws of class probabilities; those of chains have logits that are `apart`."""
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal((chains, draws, examples, 2))
    logits[..., 0] += apart * np.arange(chains)[:, None, None]
    p = np.exp(logits)
    return p / p.sum(axis=-1, keepdims=True)


def posterior(logdensity=None, **options):
    p = predictions(**options)
    wave = np.cos(4.0 * np.pi / p.shape[1] * (np.arange(p.shape[1]) + 0.5))  # without any trend
    given = np.broadcast_to(wave, p.shape[:2]) if logdensity is None else logdensity
    return Posterior({}, given, np.ones(p.shape[:2]), np.ones(len(p)), p)


def test_the_numbers_are_arviz_own():
    az, y, p = arviz(), np.array([0, 1, 0, 0, 1, 1]), predictions(apart=0.3)
    p[:, :, 3:] = p[:, :, 3:, ::-1]
    found = dataclasses.replace(posterior(), predictions=p)
    verdict = found.mixed(y)
    predicted = found.predictions.mean(axis=(0, 1)).argmax(axis=-1)
    assert len(set(predicted)) == 2
    entries = [found.predictions[:, :, i, predicted[i]] for i in range(6)]
    rhat, ess = ([float(f(entry)) for entry in entries] for f in (az.rhat, az.ess))
    assert verdict.rhat == pytest.approx(np.median(rhat), rel=1e-12)
    assert verdict.ess == pytest.approx(np.median(ess), rel=1e-12)
    assert verdict.share == np.mean(np.array(rhat) <= 1.05)
    assert np.ptp(rhat) > 0.0
    nll = -np.log(np.take_along_axis(found.predictions, y[None, None, :, None], axis=-1)).mean(axis=(2, 3))
    np.testing.assert_allclose(found.negative_log_likelihoods(y), nll)
    assert verdict.rhat_nll == pytest.approx(float(az.rhat(nll)), rel=1e-12)
    assert verdict.ess_nll == pytest.approx(float(az.ess(nll)), rel=1e-12)
    assert verdict.trend == trend(found.logdensity) == found.trend()


def test_the_verdict_on_values_is_of_each_output():
    values = np.random.default_rng(0).standard_normal((CHAINS, DRAWS, 3, 2))
    values[..., 1, 1] += np.arange(CHAINS)[:, None]
    found = dataclasses.replace(posterior(), predictions=values, link="identity").mixed()
    assert found.share == pytest.approx(5 / 6)
    assert not found


def test_the_verdict_is_a_plain_word_and_a_truth():
    """Of independent draws, and a log density that is a wave. R-hat of three chains of 200 is above 1.05 with a
    probability of 2e-10 an entry: 100 (R̂² - 1) + 1 is the F statistic of six half chains of 100 draws."""
    y = np.array([0, 1, 0, 0, 1, 1])
    good, bad = posterior().mixed(y), posterior(apart=3.0).mixed(y)
    assert good
    assert str(good).startswith("mixed: R-hat of the predictions 1.0")
    assert "ESS" in str(good)
    assert "log density level (p = " in str(good)
    assert not bad
    assert str(bad).startswith(f"not mixed: R-hat of the predictions {bad.rhat:.3g} (median), 0 % of them")
    assert bad.rhat > 1.5
    assert "try more draws" in str(bad)
    assert "R-hat of the negative log likelihood" in str(bad)
    assert "likelihood" not in str(posterior().mixed())


def test_a_trend_is_told_by_its_direction():
    level = np.random.default_rng(1).standard_normal((CHAINS, DRAWS))
    for way, sign in (("rises", 1.0), ("falls", -1.0)):
        found = posterior(level + sign * np.linspace(0.0, 10.0, DRAWS)).mixed()
        assert not found
        assert f"the log density still {way} (p = " in str(found)
        assert "longer warm-up" in str(found)
        assert found.trend.change == pytest.approx(sign * 10.0, abs=1.0)
    without = posterior(np.full((CHAINS, DRAWS), np.nan)).mixed()
    assert without
    assert "log density" not in str(without)


def test_what_has_no_diagnostic_is_not_mixed():
    for chains, draws in ((1, 50), (3, 3)):
        found = posterior(chains=chains, draws=draws).mixed()
        assert not found
        assert f"two chains of 4 draws or more, these are {chains} of {draws}" in str(found)
    p = predictions()
    p[1, 3, 2] = np.nan
    assert "not finite" in str(mixing(p, np.zeros((CHAINS, DRAWS))))


def test_a_prediction_that_never_changes_agrees_and_one_that_differs_by_chain_does_not():
    same = mixing(np.full((12, 10, 4), 0.25), np.zeros((12, 10)))  # more chains than draws are no fault
    assert same
    assert same.rhat == 1.0
    assert same.trend == Trend(1.0, 0.0)
    apart = np.broadcast_to(np.array([0.25, 0.75])[:, None, None], (2, 10, 4))
    assert not mixing(apart, np.zeros((2, 10)))
    assert Mixing()


def test_the_trend_test_keeps_its_level_and_finds_a_trend():
    """Of level chains of independent normal draws, for which it is exact, 1 % are found; a rise by 3 deviations is, and
    is missed with the probability that the largest of its bounds has: a non-central χ² in the numerator below a, or one
    in the denominator, with the small rest of the line, above b.
    """
    rng, sets, chains, n = np.random.default_rng(0), 2000, 2, 64
    found = np.array([trend(x).p for x in rng.standard_normal((sets, chains, n))])
    assert p_binomial(int((found < LEVEL).sum()), sets, LEVEL) > FALSE_ALARM
    assert missed_binomial(sets, LEVEL, 0.05) < MISSED
    line = 5.0 * np.arange(n) / n
    assert trend(rng.standard_normal((chains, n)) + line).p < LEVEL
    waves = np.sqrt(2.0 / n) * np.cos(np.pi / n * np.outer(np.arange(1, 9), np.arange(n) + 0.5))
    first, *others = np.square(waves @ line)
    limit = stats.f.isf(LEVEL, chains, 7 * chains)
    missed = min(
        stats.ncx2.cdf(a, chains, chains * first) + stats.ncx2.sf(7 * a / limit, 7 * chains, chains * np.sum(others))
        for a in np.linspace(1.0, 400.0, 400)
    )
    assert missed < MISSED


def test_the_trend_test_keeps_its_level_for_autocorrelated_draws():
    """Four level chains of 600 draws with an autocorrelation time of 12, in 400 sets: at most 1.5 % are found (1.0 % in
    6,000 others), where a regression with the error of independent draws finds more than 30 %, as the control.
    """
    rng, sets, chains, n = np.random.default_rng(0), 400, 4, 600
    r = 11.0 / 13.0
    noise = rng.standard_normal((sets, chains, n))
    noise[..., 0] /= np.sqrt(1.0 - r * r)
    traces = lfilter([1.0], [1.0, -r], noise)
    largest = stats.binom.isf(FALSE_ALARM, sets, 0.015)
    assert sum(trend(x).p < LEVEL for x in traces) <= largest
    time = np.arange(n) - np.mean(np.arange(n))
    centred = traces - traces.mean(axis=-1, keepdims=True)
    slopes = (centred @ time) / (time @ time)
    error = np.sqrt(np.square(centred - slopes[..., None] * time).sum(axis=-1) / (n - 2) / (time @ time))
    naive = stats.norm.sf(np.abs((slopes / error).sum(axis=-1)) / np.sqrt(chains)) * 2.0 < LEVEL
    assert naive.sum() > largest
    assert stats.binom.cdf(largest, sets, 0.3) < MISSED


def test_a_line_is_a_trend_and_a_constant_is_none():
    assert trend(np.ones((2, 50))) == Trend(1.0, 0.0)
    assert diagnostics.trend(np.linspace(0.0, 1.0, 400)[None]).p < 1e-3
