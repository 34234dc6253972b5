"""Phase coding by weighted spikes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neko.arguments import check_integer
from neko.encoders.base import ENCODERS
from neko.encoders.values import InvertibleEncoder


@ENCODERS.register("phase", source="Kim et al. (2018), doi:10.1016/j.neucom.2018.05.087")
@dataclass(frozen=True)
class Phase(InvertibleEncoder):
    r"""The binary digits of the value: a spike in phase k of the period has the weight 2^-(1 + k).

    .. math::
        \sum_{k=0}^{n-1} 2^{-(1+k)} s_k = 2^{-n} \min(⌊2^n v⌋, 2^n - 1), \qquad k = t \bmod n

    Each sample is one period: sample 0, a constant signal and a signal of one sample spike like any other. The value
    `low` is silent, `high` spikes in every phase.

    Parameters
    ----------
    steps : int
        n, the phases of a period, from 1 to 32. Kim et al. take 8.
    low, high : float
        As in `RangedEncoder`.

    Notes
    -----
    `decode` gives the sum of the weights, which lies below a value in the range by at most ``2^-n (high - low)``. A
    network sees the digits only if it weighs its inputs by their phase.

    References
    ----------
    Kim et al. (2018), doi:10.1016/j.neucom.2018.05.087, section 3. Published codes that scale the range to
    1 - 2^-n give other digits (01111111 for one half), and some take the arc sine of the value first.

    Examples
    --------
    >>> code = Phase(4)
    >>> code.encode([0.5, 0.8]).tolist()
    [1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0]
    >>> code.decode(code.encode([0.5, 0.8])).tolist()
    [0.5, 0.75]
    """

    steps: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if check_integer("steps", self.steps) > 32:
            raise ValueError(f"steps={self.steps!r}: expected at most 32 phases")

    @classmethod
    def space(cls, x: np.ndarray) -> dict[str, Sequence[Any]]:
        return {**super().space(x), "steps": range(1, 13)}

    def pattern(self, v: np.ndarray) -> np.ndarray:
        levels = 2**self.steps
        level = np.minimum((levels * v).astype(np.int64), levels - 1)
        return (level >> np.arange(self.steps - 1, -1, -1)[:, None, None]) & 1

    def values(self, z: np.ndarray) -> np.ndarray:
        return np.einsum("btksc,k->btc", z, 0.5 ** np.arange(1, self.steps + 1))
