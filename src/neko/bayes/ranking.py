"""Whether wrong predictions are the more uncertain ones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neko.bayes.calibration import Expected
from neko.bayes.packages import scipy_stats

NORMAL = 1.959964
"""97.5 % quantile of the standard normal."""


class Selective(NamedTuple):
    """Accuracy where the most uncertain examples are refused.

    Attributes
    ----------
    refused : array (examples,)
        Shares of refused examples: 0, 1/n, …, (n - 1)/n.
    accuracy : array (examples,)
        Of the others; its expectation where examples of equal uncertainty are refused in random order.
    """

    refused: np.ndarray
    accuracy: np.ndarray

    @property
    def area(self) -> float:
        """Mean accuracy over all shares, 1 less the area under the risk–coverage curve."""
        return float(self.accuracy.mean())


def auroc(uncertainty: np.ndarray, wrong: np.ndarray) -> float:
    """Probability that a wrong example is more uncertain than a right one; of both (examples,)."""
    # The area under the curve is the fraction of ordered pairs, which U counts.
    u = scipy_stats().mannwhitneyu(uncertainty[wrong], uncertainty[~wrong]).statistic
    return float(u / (wrong.sum() * (~wrong).sum()))


def rank_test(uncertainty: np.ndarray, wrong: np.ndarray) -> float:
    """p-value of the one-sided rank test that wrong examples are more uncertain (Mann & Whitney 1947)."""
    return float(scipy_stats().mannwhitneyu(uncertainty[wrong], uncertainty[~wrong], alternative="greater").pvalue)


def calibrated_auroc(uncertainty: np.ndarray, confidence: np.ndarray) -> Expected:
    r"""The AUROC that perfectly calibrated predictions have, of `uncertainty` and `confidence` (examples,).

    An example is then wrong with probability :math:`w_i = 1 - c_i`, independently, and

    .. math::
        \mathrm{AUROC} = \frac{\sum_{i ≠ j} w_i (1 - w_j) s_{ij}}{\sum_{i ≠ j} w_i (1 - w_j)}, \qquad
        s_{ij} = [u_i > u_j] + \tfrac12 [u_i = u_j]

    up to O(1/n); the range is from the variance of its linearisation in the labels. ValueError where no example can be
    wrong, or none right.
    """
    wrong = 1.0 - (right := np.clip(confidence, 0.0, 1.0))
    pairs = wrong.sum() * right.sum() - (wrong * right).sum()
    if pairs <= 0.0:
        raise ValueError("all predictions are certain: expected some that may be wrong and some that may be right")
    below, above = under(uncertainty, right), under(-uncertainty, wrong)
    mean = (wrong * below).sum() / pairs
    slope = below - above - mean * ((right.sum() - right) - (wrong.sum() - wrong))
    reach = NORMAL * float(np.sqrt((wrong * right * np.square(slope)).sum())) / pairs
    return Expected(float(mean), float(mean - reach), float(mean + reach))


def under(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """For each example, the weight of the others of smaller value, and half of that of equal ones."""
    _, group = np.unique(values, return_inverse=True)
    sums = np.bincount(group, weights)
    return (np.cumsum(sums) - 0.5 * sums)[group] - 0.5 * weights


def selective_accuracy(uncertainty: np.ndarray, right: np.ndarray) -> Selective:
    """The curve of examples with this uncertainty, (examples,), of which some are `right`, (examples,); of their
    probabilities to be right it is the expected curve.

    >>> curve = selective_accuracy(np.array([0.1, 0.9, 0.2, 0.8]), np.array([True, False, True, True]))
    >>> curve.accuracy.tolist(), curve.area
    ([0.75, 1.0, 1.0, 1.0], 0.9375)
    """
    _, group = np.unique(uncertainty, return_inverse=True)
    share = (np.bincount(group, right) / np.bincount(group))[group]
    kept = np.arange(1, len(group) + 1)
    accuracy = np.cumsum(share[np.argsort(group, kind="stable")]) / kept
    return Selective(1.0 - kept[::-1] / len(group), accuracy[::-1])
