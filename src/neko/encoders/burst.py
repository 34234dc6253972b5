"""Burst coding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np

from neko.arguments import check_integer
from neko.encoders.base import ENCODERS
from neko.encoders.values import InvertibleEncoder


@ENCODERS.register("burst", source="Guo et al. (2021), doi:10.3389/fnins.2021.638474")
@dataclass(frozen=True)
class Burst(InvertibleEncoder):
    r"""A burst for each sample; the larger the value, the more spikes at shorter intervals.

    .. math::
        N = ⌈n_\max v⌉, \qquad
        I = \begin{cases} ⌈t_\max - (t_\max - t_\min) v⌉ & N > 1 \\ t_\max & \text{otherwise} \end{cases}

    The spikes are at 0, I, 2 I, … (N - 1) I of the sample's window. Each sample is coded by itself: sample 0, a
    constant signal and a signal of one sample spike like any other. Only the value `low` is silent.

    Parameters
    ----------
    steps : int
        Time steps of a sample.
    n_max : int
        Largest number of spikes. Guo et al. take 5.
    t_min, t_max : int
        Shortest and longest interval between spikes, in time steps.
    low, high : float
        As in `RangedEncoder`.

    Raises
    ------
    ValueError
        For a window that does not hold every burst.

    Notes
    -----
    `decode` gives the middle of the values that have this burst, at most ``(high - low) / (2 n_max)`` from a value in
    the range.

    References
    ----------
    Guo et al. (2021), doi:10.3389/fnins.2021.638474; bursts as a code: Park et al. (2019), arXiv:1809.03142. Where
    t_max is the whole window, as in some published codes, the last spikes of bursts are cut off; others scale by the
    largest value of the signal.

    Examples
    --------
    >>> code = Burst(8, n_max=3, t_min=1, t_max=3)
    >>> code.encode([0.0, 0.5]).tolist()
    [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    >>> code.decode(code.encode([0.0, 0.5])).round(3).tolist()
    [0.0, 0.583]
    """

    steps: int = 16
    n_max: int = 5
    t_min: int = 2
    t_max: int = 7

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("steps", "n_max", "t_min"):
            check_integer(name, getattr(self, name))
        check_integer("t_max", self.t_max, least=self.t_min)
        # the longest burst of n + 1 spikes is that of a value just above n / n_max
        longest = max(n * ceil(self.t_max - self.span * n / self.n_max) for n in range(self.n_max)) + 1
        if longest > self.steps:
            raise ValueError(f"steps={self.steps!r}: expected at least {longest}, the time steps of the longest burst")

    @property
    def span(self) -> int:
        return self.t_max - self.t_min

    @classmethod
    def space(cls, x: np.ndarray) -> dict[str, Sequence[Any]]:
        return {**super().space(x), "steps": [8, 16, 32], "n_max": range(1, 9), "t_min": [1, 2], "t_max": [2, 4, 7]}

    def pattern(self, v: np.ndarray) -> np.ndarray:
        number = np.ceil(self.n_max * v).astype(np.int32)
        interval = np.ceil(self.t_max - self.span * v).astype(np.int32)
        spike, rest = np.divmod(np.arange(self.steps, dtype=np.int32)[:, None, None], interval)
        return (rest == 0) & (spike < number)

    def values(self, z: np.ndarray) -> np.ndarray:
        z = z[:, :, :, 0]
        number = z.sum(axis=2)
        last = self.steps - 1 - z[:, :, ::-1].argmax(axis=2)
        least, most = (number - 1) / self.n_max, number / self.n_max
        if self.span:
            slack = self.t_max - last / np.maximum(number - 1, 1)
            known = number > 1
            least = np.where(known, np.maximum(least, slack / self.span), least)
            most = np.where(known, np.minimum(most, (slack + 1) / self.span), most)
        return np.where(number > 0, (least + most) / 2, 0.0)
