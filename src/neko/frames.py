"""Frames that do not count: a masked frame is as if it were not there."""

from __future__ import annotations

from typing import Any

import numpy as np


def order(mask: np.ndarray) -> np.ndarray | None:
    """For each sequence its valid frames first, in their order, then the others: indices (batch, time).

    Padding at the end changes nothing before it, so that a sequence whose padding was moved there is learnt as if it
    had none. None where all padding is at the end already.
    """
    counts = mask != 0
    if not (counts[:, 1:] & ~counts[:, :-1]).any():
        return None
    return np.argsort(~counts, axis=1, kind="stable")


def taken(a: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Frames (batch, time, …) in the order of `indices` (batch, time)."""
    return np.take_along_axis(a, indices.reshape(*indices.shape, *(1,) * (a.ndim - 2)), axis=1)


def given_back(a: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Undo `taken`."""
    return taken(a, np.argsort(indices, axis=1))


def hidden(xp: Any, a: Any, mask: Any) -> Any:
    """`a` (batch, time, …) with zeros at masked frames, whatever was there (a label of -100, a NaN)."""
    shape = (*mask.shape, *(1,) * (len(a.shape) - 2))
    return xp.where(xp.reshape(mask, shape) > 0.0, a, xp.zeros_like(a))


def ends(mask: np.ndarray) -> np.ndarray:
    """Index of the last valid frame of each sequence, (batch,); -1 where there is none."""
    counts = mask != 0
    return np.where(counts.any(axis=1), counts.shape[1] - 1 - np.argmax(counts[:, ::-1], axis=1), -1)
