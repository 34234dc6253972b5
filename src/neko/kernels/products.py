"""Products and sums over a layer's time: by events where most entries are zero, such as spikes, and in one sweep."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neko.kernels import numba, threads
from neko.kernels.buffers import BUFFERS

SPARSE = 0.2
"""Share of entries that are not zero up to which a product by events is faster than the dense one."""
LOOK = 32
"""Rows in which the share is measured."""

FIND = """
def kernel(z, first, index):
    k = 0
    for r in range(z.shape[0]):
        first[r] = k
        if k + z.shape[1] >= index.shape[0]:
            return False
        for i in range(z.shape[1]):
            index[k] = i
            k += z[r, i] != 0
    first[z.shape[0]] = k
    return True
"""
PRODUCT = """
def kernel(r0, r1, z, first, index, w, out):
    for r in range(r0, r1):
        for j in range(w.shape[1]):
            out[r, j] = 0
        for e in range(first[r], first[r + 1]):
            i = index[e]
            for j in range(w.shape[1]):
                out[r, j] += z[r, i] * w[i, j]
"""
OUTER = """
def kernel(i0, i1, z, first, index, post, out):
    for r in range(z.shape[0]):
        for e in range(first[r], first[r + 1]):
            i = index[e]
            if i0 <= i < i1:
                for j in range(post.shape[1]):
                    out[i, j] += z[r, i] * post[r, j]
"""

COUNT = """
def kernel(b0, b1, z, first, places, weight, out):
    for t in range(weight.shape[0]):
        for b in range(b0, b1):
            r = t * weight.shape[1] + b
            for e in range(first[r], first[r + 1]):
                out[b, places[e]] += weight[t, b] * z[r, places[e]]
"""


class Events(NamedTuple):
    """Where an array (rows, n) is not zero: in row r at ``places[first[r] : first[r + 1]]``."""

    first: np.ndarray
    places: np.ndarray


def events(z: np.ndarray) -> Events | None:
    """The events of an array (rows, n), None if there are too many to gain by them, as evenly spaced rows show."""
    looked_at = z[:: max(1, len(z) // LOOK)]
    if np.count_nonzero(looked_at) > SPARSE * looked_at.size:
        return None
    first = np.empty(len(z) + 1, np.int64)
    index = BUFFERS.empty((int(2 * SPARSE * z.size) + z.shape[1] + 1,), np.dtype(np.int32))
    return Events(first, index) if numba.compiled(FIND, z.dtype)(z, first, index) else None


def outer_sum(z: np.ndarray, found: Events, post: np.ndarray, count: int) -> np.ndarray:
    """``z^T @ post`` of arrays (rows, p) and (rows, n)."""
    run, out = numba.compiled(OUTER, z.dtype), np.zeros((z.shape[1], post.shape[1]), z.dtype)
    threads.shared(z.shape[1], z.size, count, lambda i0, i1: run(i0, i1, z, *found, post, out))
    return out


def product(z: np.ndarray, found: Events, w: np.ndarray, out: np.ndarray, count: int) -> None:
    """``out = z @ w`` of arrays (rows, n) and (n, m)."""
    run = numba.compiled(PRODUCT, z.dtype)
    threads.shared(len(z), z.size, count, lambda r0, r1: run(r0, r1, z, *found, w, out))


def weighted_count(z: np.ndarray, found: Events, weight: np.ndarray, count: int) -> np.ndarray:
    """``Σ_t weight_t z_t`` of arrays (time batch, n) and (time, batch)."""
    run, out = numba.compiled(COUNT, z.dtype), np.zeros((weight.shape[1], z.shape[1]), z.dtype)
    threads.shared(weight.shape[1], z.size, count, lambda b0, b1: run(b0, b1, z, *found, weight, out))
    return out


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
