"""Products and sums over a layer's time: by events where most entries are zero, such as spikes, and in one sweep."""

from __future__ import annotations

import numpy as np

from neko.kernels import numba, threads

SPARSE = 0.2
"""Share of entries that are not zero up to which a product by events is faster than the dense one."""
LOOK = 32
"""Rows in which the share is measured."""


def is_sparse(pre: np.ndarray) -> bool:
    """Whether few entries of an array (rows, n) are not zero, judged by evenly spaced rows."""
    looked_at = pre[:: max(1, len(pre) // LOOK)]
    return bool(np.count_nonzero(looked_at) <= SPARSE * looked_at.size)


def outer_sum(pre: np.ndarray, post: np.ndarray, count: int) -> np.ndarray:
    """``pre^T @ post`` of arrays (rows, p) and (rows, n), by the entries of `pre` that are not zero."""
    run = numba.compiled(numba.OUTER, pre.dtype)
    found = np.zeros((pre.shape[1], post.shape[1]), pre.dtype)

    def part(i0: int, i1: int) -> None:
        run(i0, i1, pre, post, found)

    threads.shared(pre.shape[1], pre.size, count, part)
    return found


def product(z: np.ndarray, w: np.ndarray, out: np.ndarray, count: int) -> None:
    """``out = z @ w`` of arrays (rows, n) and (n, m), by the entries of `z` that are not zero, in `count` threads."""
    run = numba.compiled(numba.PRODUCT, z.dtype)

    def part(r0: int, r1: int) -> None:
        run(r0, r1, z, w, out)

    threads.shared(len(z), z.size, count, part)


def weighted_sum(a: np.ndarray, weight: np.ndarray, count: int) -> np.ndarray:
    """``Σ_t weight_t a_t`` of arrays (time, batch, n) and (time, batch)."""
    run = numba.compiled(numba.WEIGHTED_SUM, a.dtype)
    found = np.zeros(a.shape[1:], a.dtype)
    threads.shared(a.shape[1], a.size, count, lambda b0, b1: run(b0, b1, a, weight, found))
    return found


def leaky_filter(
    kappa: float, drive: np.ndarray, start: np.ndarray, reverse: bool, out: np.ndarray, count: int
) -> None:
    """``f_t = κ f_{t-1} + drive_t`` of arrays (time, n), from `start` (n,), which becomes the last f."""
    run = numba.compiled(numba.FILTER, drive.dtype)
    factor = np.array([kappa], drive.dtype)
    share = lambda j0, j1: run(j0, j1, reverse, factor, drive, start, out)  # noqa: E731
    threads.shared(drive.shape[1], drive.size, count, share)
