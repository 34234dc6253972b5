"""One-hot place coding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neko.arguments import check_integer
from neko.encoders.base import ENCODERS
from neko.encoders.values import InvertibleEncoder


@ENCODERS.register("place", source="O'Keefe & Dostrovsky (1971), doi:10.1016/0006-8993(71)90358-1")
@dataclass(frozen=True)
class Place(InvertibleEncoder):
    r"""Each cell has an equal part of the range, and the cell of the sample's value spikes.

    .. math::
        k_t = \min(⌊n v_t⌋, n - 1), \qquad v_t = \frac{x_t - \text{low}}{\text{high} - \text{low}}
        \text{ clipped to } [0, 1]

    Every sample has one spike for each channel, sample 0, a constant signal and a signal of one sample included.

    Parameters
    ----------
    cells : int
        n, the cells of each channel; cell k of channel c is at ``k · channels + c``.
    low, high : float
        As in `RangedEncoder`; values below and above spike in the first and last cell.

    Notes
    -----
    `decode` gives the middle of the cell, at most ``(high - low) / (2 n)`` from a value in the range. Lost is the place
    within the cell, and how far a value lies outside the range.

    References
    ----------
    Place cells are those of O'Keefe & Dostrovsky (1971), doi:10.1016/0006-8993(71)90358-1; as a code of numbers, for
    example, in Thorpe et al. (2001), doi:10.1016/S0893-6080(01)00083-1. Published codes that index without a clip wrap
    a value below the range to the last cell, and fail at the upper end of the range itself.

    Examples
    --------
    >>> code = Place(4)
    >>> code.encode([0.0, 0.3, 1.0, -5.0]).tolist()
    [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 0.0]]
    >>> code.decode(code.encode([0.0, 0.3, 1.0])).tolist()
    [0.125, 0.375, 0.875]
    """

    cells: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("cells", self.cells)

    @property
    def per_channel(self) -> int:
        return self.cells

    @classmethod
    def space(cls, x: np.ndarray) -> dict[str, Sequence[Any]]:
        return {**super().space(x), "cells": [2, 4, 8, 16, 32, 64]}

    def pattern(self, v: np.ndarray) -> np.ndarray:
        return np.minimum(np.floor(self.cells * v), self.cells - 1) == np.arange(self.cells)[:, None]

    def values(self, z: np.ndarray) -> np.ndarray:
        return (z.argmax(axis=3)[:, :, 0] + 0.5) / self.cells
