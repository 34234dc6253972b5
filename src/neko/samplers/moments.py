"""The running mean and covariance of a chain's positions, on the host in double precision."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

PRIOR_DRAWS = 5
PRIOR_VARIANCE = 1e-3


class Moments(NamedTuple):
    """Number of positions, their mean (d,), and the sum of squares or products about it: (d,) or (d, d)."""

    positions: int
    mean: np.ndarray
    scatter: np.ndarray


def init(size: int, *, dense: bool) -> Moments:
    """Of no positions with `size` entries, for the variances or, if `dense`, for the covariance matrix."""
    return Moments(0, np.zeros(size), np.zeros((size, size) if dense else size))


def update(moments: Moments, position: np.ndarray) -> Moments:
    """With one position more.

    References
    ----------
    Welford (1962), doi:10.1080/00401706.1962.10490022.
    """
    count = moments.positions + 1
    before = position - moments.mean
    mean = moments.mean + before / count
    after = position - mean
    product = np.outer(before, after) if moments.scatter.ndim == 2 else before * after
    return Moments(count, mean, moments.scatter + product)


def covariance(moments: Moments) -> np.ndarray:
    """Variances (d,) or covariance matrix (d, d), without bias; ValueError for fewer than two positions."""
    if moments.positions < 2:
        raise ValueError(f"{moments.positions!r} positions have no covariance: expected two or more")
    return np.asarray(moments.scatter / (moments.positions - 1))


def regularised(moments: Moments) -> np.ndarray:
    r"""The covariance shrunk towards a small multiple of the identity, so that it has an inverse for few positions.

    .. math::
        Σ = \frac{n}{n + 5} \hat Σ + \frac{5}{n + 5}\, 10^{-3} I

    References
    ----------
    Stan Development Team, Stan Reference Manual, "HMC algorithm parameters": its constants.
    """
    n = moments.positions
    weight = n / (n + PRIOR_DRAWS)
    small = (1.0 - weight) * PRIOR_VARIANCE
    identity = np.eye(len(moments.mean)) if moments.scatter.ndim == 2 else 1.0
    return np.asarray(weight * covariance(moments) + small * identity)
