"""What the codes of spikes through a filter share: the filter, the walk along the signal, and decoding."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np

from neko.arguments import as_list, check_integer, check_number, is_real
from neko.encoders.base import RangedEncoder

ROUNDING = 1e-12
"""What sums of values from 0 to 1 may be off by; a filter that fits exactly fits."""


@dataclass(frozen=True)
class FilterEncoder(RangedEncoder):
    r"""A code whose spikes give the signal when a finite filter is laid at each of them; a subclass defines `fits`.

    At each sample in turn, a spike is set where the filter fits what is left of the signal, and taken off:

    .. math::
        r = v = \frac{x - \text{low}}{\text{high} - \text{low}} \text{ before}, \qquad
        r_{t+k} \leftarrow r_{t+k} - s_t h_k, \qquad \hat x = \text{low} + (\text{high} - \text{low}) (h * s)

    A sample is decided with the L − 1 samples after it.

    Parameters
    ----------
    length : int
        L, the samples of the filter, a Hann window :math:`h_k \propto \sin^2(π (k + 1) / (L + 1))` of the sum 1: the
        density of spikes is then about v.
    taps : tuple of float, optional
        A filter of one's own in place of the Hann window, in the unit of v, for example from ``scipy.signal.firwin``.
    low, high : float
        As in `RangedEncoder`.
    """

    invertible: ClassVar[bool] = True
    _: KW_ONLY
    length: int = 8
    taps: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("length", self.length)
        if self.taps is not None:
            object.__setattr__(self, "taps", tuple(as_list("taps", self.taps, "(0.25, 0.5, 0.25)")))
            if not all(is_real(tap) for tap in self.taps) or not any(self.taps):
                raise ValueError(f"taps={self.taps!r}: expected finite numbers that are not all 0")

    @classmethod
    def space(cls, x: np.ndarray) -> dict[str, Sequence[Any]]:
        return super().space(x) | {"length": [2, 4, 8, 16, 32]}

    @property
    def filter(self) -> np.ndarray:
        """h, (L,)."""
        if self.taps is not None:
            return np.array(self.taps, dtype=np.float64)
        window = np.sin(np.pi * np.arange(1, self.length + 1) / (self.length + 1)) ** 2
        return window / window.sum()

    def check_positive(self) -> None:
        """ValueError unless every tap is above 0."""
        if not (self.filter > 0).all():
            raise ValueError(f"taps={self.taps!r}: expected numbers above 0, since what is left must be above them all")

    @abstractmethod
    def fits(self, rest: np.ndarray, h: np.ndarray) -> np.ndarray:
        """Where to spike, (batch, channels), given what is left of the signal, (batch, channels, L), and h, (L,).

        Near the end of the signal both are shorter than L: the filter counts as far as there are samples.
        """

    def code(self, x: np.ndarray) -> np.ndarray:
        left, h = np.ascontiguousarray(np.moveaxis(self.within(x), 1, 2)), self.filter
        spikes = np.empty(left.shape, dtype=bool)
        for t in range(left.shape[2]):
            rest = left[..., t : t + len(h)]
            here = h[: rest.shape[2]]
            spikes[..., t] = self.fits(rest, here)
            rest -= spikes[..., t, None] * here
        return np.moveaxis(spikes, 2, 1)

    def decode(self, spikes: Any) -> np.ndarray:
        """The filter at each spike, added up, of the shape of the signal.

        Parameters
        ----------
        spikes : array
            As `encode` returns.
        """
        z = self.received(spikes)
        v = np.zeros_like(z)
        for k, tap in enumerate(self.filter[: z.shape[1]]):
            v[:, k:] += tap * z[:, : z.shape[1] - k]
        return self.returned(self.outward(v), spikes)


def check_part(threshold: Any) -> None:
    """ValueError unless a threshold is a part of the filter's area, from 0 to 1."""
    if check_number("threshold", threshold) > 1:
        raise ValueError(f"threshold={threshold!r}: expected a part of the area of the filter, from 0 to 1")
