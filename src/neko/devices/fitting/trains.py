"""Measured pulse trains as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

AT_BOUND = 1e-9
"""Distance from a bound, in half ranges, of a measurement at the bound."""


class Train(NamedTuple):
    """Conductances of one device, measured before the first pulse of a train and after each of them.

    Attributes
    ----------
    g : array (pulses + 1,)
        Conductances in the unit of the file; NaN where none was measured.
    direction : array (pulses,)
        1 for a pulse up, -1 for one down.
    device, cycle : str
        Which device, and which of its cycles.
    line : int
        Line of the file where the train begins.
    """

    g: np.ndarray
    direction: np.ndarray
    device: str
    cycle: str
    line: int


class Batch(NamedTuple):
    """Trains of any length side by side; after its end a train has no pulses and no measurements.

    Attributes
    ----------
    g : array (pulses + 1, trains)
        Position between the bounds, -1 to 1; NaN where nothing was measured.
    direction : array (pulses, trains)
    device : array (trains,)
        Number of the device.
    judged : array (pulses, trains)
        Which measurements a model has to explain: all but the first of each train, and those that `saturating` says.
    """

    g: np.ndarray
    direction: np.ndarray
    device: np.ndarray
    judged: np.ndarray

    @property
    def measured(self) -> int:
        """Number of conductances that a model has to explain."""
        return int(self.judged.sum())


def batch(trains: Sequence[Train], g_range: tuple[float, float]) -> Batch:
    """Trains side by side, their conductances relative to a range."""
    longest, names = max(len(t.direction) for t in trains), devices(trains)
    g, direction = np.full((longest + 1, len(trains)), np.nan), np.zeros((longest, len(trains)))
    for k, train in enumerate(trains):
        g[: len(train.g), k], direction[: len(train.direction), k] = train.g, train.direction
    low, high = g_range
    position = (2.0 * g - (low + high)) / (high - low)
    judged = np.isfinite(position[1:]) & ~saturating(position, direction)
    return Batch(position, direction, np.array([names.index(t.device) for t in trains]), judged)


def saturating(position: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Measurements after pulses so near to a bound that it may have cut the step: that says little of its size.

    Only of trains with two or more measurements exactly at the bound and none beyond it, as there are without noise of
    measurements. What is near is the largest step that was seen in that half of the range, so that it depends on what
    was before a pulse and not on what came of it.
    """
    found = np.zeros(direction.shape, bool)
    before, after = position[:-1], position[1:]
    for sign in (1.0, -1.0):
        towards = (direction == sign) & np.isfinite(before) & np.isfinite(after)
        beyond = np.nanmax(sign * position) > 1.0 + AT_BOUND
        if not beyond and np.sum(towards & (np.abs(sign * after - 1.0) < AT_BOUND)) > 1:
            step = np.where(towards & (sign * before > 0.0), sign * (after - before), 0.0)
            found |= towards & (sign * before + step.max() >= 1.0 - AT_BOUND)
    return found


def devices(trains: Sequence[Train]) -> list[str]:
    """Names of the devices, in the order of the file."""
    return list(dict.fromkeys(train.device for train in trains))


def span(trains: Sequence[Train]) -> tuple[float, float]:
    """Smallest and largest conductance; of long trains after a median of neighbours, which read noise moves less."""
    lowest, highest = np.inf, -np.inf
    for train in trains:
        g = train.g[np.isfinite(train.g)]
        width = 1 + 2 * (len(g) // 100)
        smooth = np.median(np.lib.stride_tricks.sliding_window_view(g, width), axis=1)
        lowest, highest = min(lowest, smooth.min()), max(highest, smooth.max())
    return float(lowest), float(highest)
