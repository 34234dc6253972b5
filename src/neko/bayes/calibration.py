"""Whether predictions are right as often as their probabilities say, and what chance alone would show."""

from __future__ import annotations

from itertools import zip_longest
from typing import NamedTuple

import numpy as np

from neko.arguments import check_integer

TINY = 1e-30
"""Lower bound of probabilities in a logarithm, so that it is finite for a wrong prediction of probability 1."""
RANGE = (0.025, 0.975)
"""Quantiles of a 95 % range."""
DRAWS = 20_000
"""Data sets from which the range of a calibrated predictor's error is found: 1.2 % of its standard deviation."""


class Expected(NamedTuple):
    """What a perfectly calibrated predictor would measure: the mean, and a 95 % range over the chance of labels."""

    mean: float
    low: float
    high: float


class Reliability(NamedTuple):
    """A reliability diagram: accuracy over confidence, the largest probability, in equal bins of it.

    Attributes
    ----------
    edges : array (bins + 1,)
        From 0 to 1; a bin has its lower edge.
    examples : array (bins,)
        Their number in each bin.
    confidence, accuracy : array (bins,)
        Means over the bin's examples; NaN where there are none.
    low, high : array (bins,)
        95 % range of the accuracy of a perfectly calibrated predictor with these confidences; NaN without examples.
    """

    edges: np.ndarray
    examples: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def error(self) -> float:
        """Expected calibration error: the mean distance of accuracy and confidence, weighted by examples."""
        some = self.examples > 0
        gaps = self.examples[some] * np.abs(self.accuracy - self.confidence)[some]
        return float(gaps.sum() / self.examples.sum())


def negative_log_likelihood(p: np.ndarray, labels: np.ndarray) -> np.ndarray:
    r""":math:`-\log p_y`, (…), of class probabilities (…, classes) and class numbers that broadcast to (…)."""
    chosen = np.take_along_axis(p, np.broadcast_to(labels, p.shape[:-1])[..., None], axis=-1)[..., 0]
    return np.asarray(-np.log(np.maximum(chosen, TINY)))


def brier_score(p: np.ndarray, labels: np.ndarray) -> np.ndarray:
    r""":math:`\sum_k (p_k - 1[k = y])^2`, between 0 and 2, (…), of class probabilities (…, classes)."""
    return np.asarray(np.square(p - np.eye(p.shape[-1])[labels]).sum(axis=-1))


def reliability(confidence: np.ndarray, right: np.ndarray, bins: int = 15) -> Reliability:
    """The diagram of predictions with these confidences, (examples,), of which some are `right`, (examples,)."""
    index = indices(confidence, bins)
    count = np.bincount(index, minlength=bins)
    with np.errstate(invalid="ignore"):
        means = np.bincount(index, confidence, bins) / count
        accuracy = np.bincount(index, right, bins) / count
    low, high = np.full((2, bins), np.nan)
    for b in np.flatnonzero(count):
        law = np.cumsum(law_of_count(confidence[index == b]))
        low[b], high[b] = np.searchsorted(law, np.multiply(RANGE, law[-1])) / count[b]
    return Reliability(np.linspace(0.0, 1.0, bins + 1), count, means, accuracy, low, high)


def calibrated_error(confidence: np.ndarray, bins: int = 15) -> Expected:
    r"""The expected calibration error that perfectly calibrated predictions have on as many examples.

    In a bin with confidences c_i the number K of right ones is Poisson-binomial, with a law that is known exactly, and

    .. math::
        E[\mathrm{ECE}] = \frac 1 n \sum_{bins} E\Big|K - \sum_i c_i\Big|.

    The range is that of data sets drawn from these laws. Examples are taken for independent, as frames of one
    sequence are not: their chance deviations are larger.
    """
    index = indices(confidence, bins)
    rng = np.random.default_rng(0)
    mean, drawn = 0.0, np.zeros(DRAWS)
    for b in np.unique(index):
        c = confidence[index == b]
        law = law_of_count(c)
        gaps = np.abs(np.arange(len(law)) - c.sum())
        mean += float(law @ gaps)
        total = np.cumsum(law)
        drawn += gaps[np.searchsorted(total, total[-1] * rng.random(DRAWS))]
    return Expected(mean / len(confidence), *(float(q) for q in np.quantile(drawn, RANGE) / len(confidence)))


def indices(confidence: np.ndarray, bins: int) -> np.ndarray:
    """The bin of each example; ValueError for fewer than one bin."""
    bins = check_integer("bins", bins)
    return np.minimum((confidence * bins).astype(int), bins - 1)


def law_of_count(p: np.ndarray) -> np.ndarray:
    """Probabilities of 0, 1, …, n successes in independent trials with probabilities `p`, (n + 1,).

    >>> law_of_count(np.array([0.5, 0.5])).tolist()
    [0.25, 0.5, 0.25]
    """
    laws = [np.array([1.0 - q, q]) for q in np.clip(p, 0.0, 1.0)]
    while len(laws) > 1:  # of halves: a sum of positive numbers, with no loss of digits
        laws = [np.convolve(a, b) for a, b in zip_longest(laws[::2], laws[1::2], fillvalue=np.ones(1))]
    return laws[0]
