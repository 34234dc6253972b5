"""Frames that do not count: they are read by the network, and judged nowhere."""

from __future__ import annotations

from typing import Any

import numpy as np


def hidden(xp: Any, a: Any, mask: Any) -> Any:
    """`a` (batch, time, …) with zeros at masked frames, whatever was there (a label of -100, a NaN)."""
    shape = (*mask.shape, *(1,) * (len(a.shape) - 2))
    return xp.where(xp.reshape(mask, shape) > 0.0, a, xp.zeros_like(a))


def ends(mask: np.ndarray) -> np.ndarray:
    """Index of the last valid frame of each sequence, (batch,); -1 where there is none."""
    counts = mask != 0
    return np.where(counts.any(axis=1), counts.shape[1] - 1 - np.argmax(counts[:, ::-1], axis=1), -1)
