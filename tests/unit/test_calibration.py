"""Calibration and ranks of errors: numbers by hand, and a calibrated predictor's over all possible labels."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from neko.bayes import calibration, ranking
from significance import FALSE_ALARM, MISSED, missed_binomial, p_binomial

CONFIDENCE = np.array([0.95, 0.9, 0.35, 0.62, 0.61, 0.6, 0.41, 0.4, 0.99, 0.5])
BINS = 4


def every_outcome(confidence):
    """All 2ⁿ ways in which calibrated predictions can be right, with their probabilities."""
    right = np.array(list(itertools.product([False, True], repeat=len(confidence))))
    return right, np.where(right, confidence, 1.0 - confidence).prod(axis=1)


def test_scores_by_hand():
    p = np.array([[0.6, 0.4], [0.5, 0.5], [0.8, 0.2]])
    y = np.array([0, 1, 1])
    np.testing.assert_allclose(calibration.brier_score(p, y), [0.32, 0.5, 1.28])
    np.testing.assert_allclose(calibration.negative_log_likelihood(p, y), -np.log([0.6, 0.5, 0.2]))
    both = calibration.negative_log_likelihood(np.stack([p, p[::-1]]), y)
    np.testing.assert_allclose(both, -np.log([[0.6, 0.5, 0.2], [0.8, 0.5, 0.4]]))


def test_a_reliability_diagram_by_hand():
    confidence = np.concatenate([np.full(100, 0.5), [0.9, 0.8, 1.0]])
    right = np.concatenate([np.arange(100) < 62, [True, False, True]])
    found = calibration.reliability(confidence, right, bins=5)
    np.testing.assert_allclose(found.edges, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert found.examples.tolist() == [0, 0, 100, 0, 3]
    np.testing.assert_allclose(found.accuracy, [np.nan, np.nan, 0.62, np.nan, 2 / 3])
    np.testing.assert_allclose(found.confidence, [np.nan, np.nan, 0.5, np.nan, 0.9])
    assert found.error == pytest.approx((100 * 0.12 + 3 * (0.9 - 2 / 3)) / 103)
    assert 100 * found.low[2] == stats.binom.ppf(0.025, 100, 0.5)
    assert 100 * found.high[2] == stats.binom.ppf(0.975, 100, 0.5)
    # of three two are wrong with probability .02
    assert (found.low[4], found.high[4]) == (2 / 3, 1.0)


@pytest.mark.parametrize(("n", "p"), [(1, 0.3), (17, 0.62), (400, 0.9)])
def test_the_law_of_a_count_is_binomial_for_equal_probabilities(n, p):
    law = calibration.law_of_count(np.full(n, p))
    np.testing.assert_allclose(law, stats.binom.pmf(np.arange(n + 1), n, p), rtol=1e-9, atol=1e-300)


def test_the_error_of_a_calibrated_predictor_is_de_moivres():
    """E|K - np| = 2 ν C(n, ν) p^ν q^(n - ν + 1) with ν = ⌊np⌋ + 1 (de Moivre 1730)."""
    n, p = 50, 0.71
    nu = int(n * p) + 1
    mean = 2 * nu * stats.binom.pmf(nu, n, p) * (1 - p)
    assert calibration.calibrated_error(np.full(n, p)).mean == pytest.approx(mean / n, rel=1e-12)


def test_the_error_of_a_calibrated_predictor_over_all_labels():
    """Its mean exactly; its range by the shares beyond it, which 20,000 draws know within six standard errors."""
    right, weights = every_outcome(CONFIDENCE)
    errors = np.array([calibration.reliability(CONFIDENCE, r, BINS).error for r in right])
    found = calibration.calibrated_error(CONFIDENCE, BINS)
    assert found.mean == pytest.approx(weights @ errors, rel=1e-12)
    assert errors.std() > 0.02
    slack = 6.0 * np.sqrt(0.025 * 0.975 / calibration.DRAWS)
    # the law is discrete: the mass of the bound itself belongs to both sides
    for beyond, reached in (
        (errors < found.low - 1e-12, errors < found.low + 1e-12),
        (errors > found.high + 1e-12, errors > found.high - 1e-12),
    ):
        assert weights[beyond].sum() <= 0.025 + slack
        assert weights[reached].sum() >= 0.025 - slack


def test_the_auroc_of_a_calibrated_predictor_over_all_labels():
    """The ratio of the means of ordered and of all pairs, with ties among the uncertainties."""
    uncertainty = np.array([1.0, 2.0, 3.0, 3.0, 2.5, 4.0, 5.0, 3.0, 0.5, 2.0])
    right, weights = every_outcome(CONFIDENCE)
    ordered = pairs = 0.0
    for r, weight in zip(right, weights, strict=True):
        above = np.sign(uncertainty[~r][:, None] - uncertainty[r])
        ordered += weight * (0.5 * (1.0 + above)).sum()
        pairs += weight * above.size
    assert ranking.calibrated_auroc(uncertainty, CONFIDENCE).mean == pytest.approx(ordered / pairs, rel=1e-12)
    with pytest.raises(ValueError, match="all predictions are certain"):
        ranking.calibrated_auroc(uncertainty, np.ones(10))


def spread(confidence, times):
    """Confidences with their logits multiplied."""
    odds = (confidence / (1.0 - confidence)) ** times
    return odds / (1.0 + odds)


def test_a_calibrated_predictor_has_its_auroc():
    """Of 300 data sets of 800 labels the AUROC is in the 95 % range by the count's binomial law (of 6,000 others 95.2 %
    are), and in that of the same predictions with 1.5 times their logits, which is another predictor's, in at most 5 %
    (of 6,000 others 0.8 %).
    """
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.3, 0.99, 800)
    values = 1.0 - confidence
    found = np.array([ranking.auroc(values, rng.random(800) > confidence) for _ in range(300)])
    expected = ranking.calibrated_auroc(values, confidence), ranking.calibrated_auroc(values, spread(confidence, 1.5))
    inside, elsewhere = (int(((e.low < found) & (found < e.high)).sum()) for e in expected)
    assert p_binomial(inside, 300, 0.95) > FALSE_ALARM
    assert p_binomial(elsewhere, 300, 0.95) < FALSE_ALARM
    assert missed_binomial(300, 0.95, 0.05) < MISSED


def test_selective_accuracy_by_hand():
    found = ranking.selective_accuracy(np.array([0.1, 0.9, 0.2, 0.8]), np.array([True, False, False, True]))
    np.testing.assert_allclose(found.refused, [0.0, 0.25, 0.5, 0.75])
    np.testing.assert_allclose(found.accuracy, [1 / 2, 2 / 3, 1 / 2, 1.0])
    assert found.area == pytest.approx((1 / 2 + 2 / 3 + 1 / 2 + 1) / 4)
    alike = ranking.selective_accuracy(np.array([1.0, 1.0, 1.0, 0.0]), np.array([True, False, False, True]))
    np.testing.assert_allclose(alike.accuracy, [1 / 2, (1 + 2 / 3) / 3, (1 + 1 / 3) / 2, 1.0])


def test_an_impossible_number_of_bins_is_named():
    with pytest.raises(ValueError, match="bins=0"):
        calibration.calibrated_error(CONFIDENCE, 0)
