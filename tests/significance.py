"""Exact tests of random numbers: how often they raise a false alarm, and how often they miss what is wrong.

Every statistical test of the suite asserts ``p > FALSE_ALARM`` for the p-value of what it has drawn. The draws are
independent by construction and their distribution is known, so that the p-value is exact for any number of draws: with
other seeds the test fails once in ten million times. Rounding, which differs from processor to processor, moves such a
p-value by no more than the draws themselves, unless a chain decides otherwise; of thousands that is one.

What the test is there to catch has a known distribution too. It passes with the probability that a function
``missed_…`` computes from that distribution and the number of draws, and the test asserts that this is below `MISSED`.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

FALSE_ALARM = 1e-7
"""Of one test, at a seed that is drawn anew."""
MISSED = 1e-7
"""Largest probability that a test misses the control that it names; the power is what is left of 1."""


def directions(d):
    """Where variances are looked at: the axes, and their sums and differences in pairs, (d², d)."""
    axes = np.eye(d)
    pairs = [axes[i] + sign * axes[j] for i in range(d) for j in range(i) for sign in (1, -1)]
    return np.concatenate([axes, np.array(pairs).reshape(-1, d) / np.sqrt(2.0)])


def two_sided(law, value):
    return np.minimum(1.0, 2.0 * np.minimum(law.cdf(value), law.sf(value)))


def p_normal(draws, mean, covariance):
    """p-value of independent `draws` (n, d) that should be N(mean, covariance).

    With the draws whitened, √n times the mean of every column is N(0, 1) and the sum of squares in every direction
    is χ² of n degrees of freedom; the least of the p-values, times their number (Bonferroni).
    """
    draws = np.asarray(draws, dtype=float)
    n, d = draws.shape
    white = np.linalg.solve(np.linalg.cholesky(covariance), (draws - mean).T)
    means = two_sided(stats.norm(), np.sqrt(n) * white.mean(axis=1))
    squares = two_sided(stats.chi2(n), np.square(directions(d) @ white).sum(axis=1))
    p = np.concatenate([means, squares])
    return min(1.0, len(p) * p.min())


def missed_normal(n, mean, covariance, other_mean, other_covariance):
    """Probability that `n` draws of N(other_mean, other_covariance) pass for N(mean, covariance) in `p_normal`.

    The least over its p-values of the probability that this one alone says nothing: a bound from above.
    """
    factor = np.linalg.cholesky(covariance)
    shift = np.linalg.solve(factor, np.subtract(other_mean, mean))
    spread = np.linalg.solve(factor, np.linalg.solve(factor, np.asarray(other_covariance)).T)
    along = directions(len(shift))
    tail = 0.5 * FALSE_ALARM / (len(shift) + len(along))
    reach, deviation = stats.norm.isf(tail), np.sqrt(np.diag(spread))
    from_means = [
        stats.norm.cdf(reach, np.sqrt(n) * m, s) - stats.norm.cdf(-reach, np.sqrt(n) * m, s)
        for m, s in zip(shift, deviation, strict=True)
    ]
    low, high = stats.chi2.ppf(tail, n), stats.chi2.isf(tail, n)
    from_squares = []
    for v, m in zip(np.einsum("ki,ij,kj->k", along, spread, along), along @ shift, strict=True):
        v = max(v, 1e-12)  # draws that are one and the same have no variance along their difference
        law = stats.ncx2(n, n * m * m / v, scale=v) if m else stats.chi2(n, scale=v)
        from_squares.append(law.cdf(high) - law.cdf(low))
    return min(from_means + from_squares)


def p_binomial(count, n, p):
    """p-value of a `count` that should be binomial, of `n` trials with probability `p`."""
    return min(1.0, 2.0 * min(stats.binom.cdf(count, n, p), stats.binom.sf(count - 1, n, p)))


def missed_binomial(n, p, other):
    """Probability that a count of `n` trials with probability `other` passes for `p` in `p_binomial`."""
    low, high = stats.binom.ppf(0.5 * FALSE_ALARM, n, p), stats.binom.isf(0.5 * FALSE_ALARM, n, p)
    return stats.binom.cdf(high, n, other) - stats.binom.cdf(low - 1, n, other)
