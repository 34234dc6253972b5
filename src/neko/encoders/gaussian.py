"""Population coding by Gaussian receptive fields."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neko.arguments import check_integer, check_number
from neko.encoders.base import ENCODERS
from neko.encoders.values import InvertibleEncoder


@ENCODERS.register("gaussian", source="Bohte et al. (2002), doi:10.1016/S0925-2312(01)00658-0")
@dataclass(frozen=True)
class Gaussian(InvertibleEncoder):
    r"""A population of neurons with overlapping Gaussian receptive fields along the range.

    .. math::
        a_i = \exp\left(-\frac{(x - μ_i)^2}{2 σ^2}\right), \qquad
        μ_i = \text{low} + \frac{2 i - 3}{2} d, \qquad σ = \frac{d}{β}, \qquad
        d = \frac{\text{high} - \text{low}}{m - 2}, \qquad i = 1 … m

    The neurons `nearest` to the value spike, or, with a `threshold`, all whose activation reaches it; or, with
    `latency`, each neuron once, at the time step ``round((1 - a_i) · window)`` of the sample's window, the best match
    first, unless that is the end of the window. Each sample is coded by itself: sample 0, a constant signal and a
    signal of one sample spike like any other.

    Parameters
    ----------
    neurons : int
        m, at least 3, for each channel; neuron i of channel c is at ``(i - 1) · channels + c``.
    beta : float
        β, the overlap of the fields: σ is 1 / β of the distance d of their centres. Bohte et al. take 1.5.
    nearest : int
        Number of neurons that spike for each sample; of two that are equally near, the lower.
    threshold : float, optional
        Activation from which a neuron spikes, in place of `nearest`.
    latency : bool
        Whether activation sets the time of the spike.
    window : int
        With `latency`, the time steps of a sample. Bohte et al. take 10.
    low, high : float
        As in `RangedEncoder`.

    Raises
    ------
    ValueError
        For a `threshold` with `latency`, and where values midway between two centres, whose activation is
        exp(-β² / 8), would have no spike.

    Notes
    -----
    `decode` gives the mean centre of the neurons that spike first. It lies within d / 2 of a value in the range if
    `nearest` is at most 3, otherwise within d (nearest - 2) / 2; with `threshold` and `latency` within d / 2 where
    neurons spike on both sides of the value, and towards the ends within half the width of the group that spikes. Lost
    is the place between two centres, and how far a value lies outside the range.

    References
    ----------
    Bohte et al. (2002), doi:10.1016/S0925-2312(01)00658-0. Some published codes take 1 / σ for σ, which is right only
    where d = β; some wrap the best match to the last time step, or take the range from the signal itself.

    Examples
    --------
    >>> Gaussian(4).encode([0.0, 0.5, 1.0]).tolist()
    [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]
    >>> Gaussian(3, latency=True, window=4).encode([0.5]).tolist()
    [[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 1.0]]
    """

    neurons: int = 10
    beta: float = 1.5
    nearest: int = 1
    threshold: float | None = None
    latency: bool = False
    window: int = 10
    steps: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("neurons", self.neurons, least=3)
        check_number("beta", self.beta, positive=True)
        check_integer("window", self.window)
        if check_integer("nearest", self.nearest) > self.neurons:
            raise ValueError(f"nearest={self.nearest!r}: expected at most neurons={self.neurons!r}")
        if self.threshold is not None:
            check_number("threshold", self.threshold, positive=True)
            if self.latency:
                raise ValueError(f"threshold={self.threshold!r}, latency=True: expected one of them")
        object.__setattr__(self, "steps", self.window if self.latency else 1)
        reached, needed = math.exp(-(self.beta**2) / 8.0), 0.5 / self.window if self.latency else self.threshold or 0.0
        if reached < needed:
            raise ValueError(
                f"beta={self.beta!r}: between two centres the activation is {reached:.3g}, and a spike needs "
                f"{needed:.3g}: expected a smaller beta, or {'a longer window' if self.latency else 'threshold'}"
            )

    @property
    def per_channel(self) -> int:
        return self.neurons

    @classmethod
    def space(cls, x: np.ndarray) -> dict[str, Sequence[Any]]:
        return {**super().space(x), "neurons": [4, 6, 8, 12, 16, 24, 32], "threshold": [None, 0.2, 0.4, 0.6]}

    def pattern(self, v: np.ndarray) -> np.ndarray:
        i = np.arange(self.neurons)[:, None]
        place = v * (self.neurons - 2) + 0.5  # in distances d from the first centre
        if not self.latency and self.threshold is None:
            first = np.clip(np.ceil(place - self.nearest / 2), 0, self.neurons - self.nearest)
            return (first <= i) & (i < first + self.nearest)
        gap = (self.beta * (place - i)).astype(np.float32)
        activation = np.exp(-0.5 * gap * gap)
        if not self.latency:
            return activation >= self.threshold
        times = np.floor((1.0 - activation) * self.window + 0.5).astype(np.int16)
        return times == np.arange(self.window, dtype=np.int16)[:, None, None]

    def values(self, z: np.ndarray) -> np.ndarray:
        step = z.any(axis=3).argmax(axis=2)[:, :, None, None]  # in which the first neurons spike
        spikes = np.take_along_axis(z, step, axis=2)[:, :, 0]
        places = (spikes * np.arange(self.neurons)[:, None]).sum(axis=2) / np.maximum(spikes.sum(axis=2), 1.0)
        return (places - 0.5) / (self.neurons - 2)
