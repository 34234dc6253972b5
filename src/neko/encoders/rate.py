"""Deterministic rate coding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neko.arguments import check_integer
from neko.encoders.base import ENCODERS
from neko.encoders.values import InvertibleEncoder


@ENCODERS.register("rate", source="Rueckauer et al. (2017), doi:10.3389/fnins.2017.00682")
@dataclass(frozen=True)
class Rate(InvertibleEncoder):
    r"""Evenly spaced spikes at a rate set by the value: an integrate-and-fire neuron for each sample.

    .. math::
        u_k = u_{k-1} + v - s_k, \qquad s_k = [u_{k-1} + v ≥ 1], \qquad u_0 = ½, \qquad k = 1 … n

    A spike subtracts the threshold 1, so that the first k steps hold ``⌊k v + ½⌋`` spikes. The neuron starts anew with
    every sample: sample 0, a constant signal and a signal of one sample spike like any other. The value `low` is
    silent, `high` spikes at every step.

    Parameters
    ----------
    steps : int
        n, the time steps of a sample.
    low, high : float
        As in `RangedEncoder`.

    Notes
    -----
    `decode` gives the number of spikes over n, at most ``(high - low) / (2 n)`` from a value in the range.

    References
    ----------
    Rueckauer et al. (2017), doi:10.3389/fnins.2017.00682, for the reset by subtraction; Bu et al. (2022),
    arXiv:2202.01440, for the start at half the threshold, without which every rate is too low by half a spike.

    Examples
    --------
    >>> code = Rate(5)
    >>> code.encode([0.4]).tolist()
    [0.0, 1.0, 0.0, 1.0, 0.0]
    >>> code.decode(code.encode([0.4, 1.0])).tolist()
    [0.4, 1.0]
    """

    steps: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("steps", self.steps)

    @classmethod
    def space(cls, x: np.ndarray) -> dict[str, Sequence[Any]]:
        return {**super().space(x), "steps": [1, 2, 4, 8, 16, 32, 64]}

    def pattern(self, v: np.ndarray) -> np.ndarray:
        count = np.floor(np.arange(self.steps + 1)[:, None, None] * v + 0.5)
        return count[:, :, 1:] > count[:, :, :-1]

    def values(self, z: np.ndarray) -> np.ndarray:
        return z.mean(axis=2)[:, :, 0]
