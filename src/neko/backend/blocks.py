"""A leaky filter as matrix products over blocks of steps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from neko.typing import Array

BLOCK = 32
"""Number of steps in a block."""


def filter_by_blocks(xp: Any, kappa: float, drive: Array, start: Array, reverse: bool) -> tuple[Array, Array]:
    """``f_t = κ f_{t-1} + drive_t`` along the leading axis, the last f and all of them, where nothing compiles: a loop
    over the steps costs more than its arithmetic."""
    time, shape = drive.shape[0], drive.shape[1:]
    length = min(BLOCK, time)
    missing = -time % length
    if missing:  # zero drive, in the block that the filter reaches last
        nothing = xp.zeros((missing, *shape))
        drive = xp.concat([nothing, drive] if reverse else [drive, nothing], axis=0)
    blocks = xp.reshape(drive, (-1, length, math.prod(shape)))
    weights = block_weights(kappa, length, xp.dtype_name)
    whole_block = float(weights[-1, 0])
    matrix = xp.asarray(weights[::-1, ::-1] if reverse else weights)
    ends = (matrix[:1, :-1] if reverse else matrix[-1:, 1:]) @ blocks

    def join(f: Array, end: Array) -> tuple[Array, Array]:
        return whole_block * f + end, f

    _, starts = xp.scan(join, xp.reshape(start, (1, math.prod(shape))), ends, reverse=reverse)
    f = xp.reshape(matrix @ xp.concat([blocks, starts] if reverse else [starts, blocks], axis=1), drive.shape)
    f = f[missing:] if reverse else f[:time]
    return (f[0] if reverse else f[-1]), f


def block_weights(kappa: float, length: int, dtype: str) -> np.ndarray:
    """``κ^{t-s}`` of f at step t of a block from f before it (s = -1) and its drive at steps s = 0, 1, … ≤ t,
    (length, 1 + length); 0 where a precision has no normal number as small, with which arithmetic would be slow."""
    ages = np.subtract.outer(np.arange(length), np.arange(-1, length))
    powers = kappa ** np.maximum(ages, 0.0)
    return np.where((ages >= 0) & (powers >= np.finfo(dtype).tiny), powers, 0.0)
