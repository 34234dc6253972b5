"""Codes of spikes up and down."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np

from neko.arguments import check_number
from neko.encoders.base import Encoder, checked


@dataclass(frozen=True)
class SignedEncoder(Encoder):
    """A code of spikes up and down; a subclass defines `signs`.

    Parameters
    ----------
    split : bool
        Whether a spike down is a 1 in a channel of its own, after all channels of spikes up: {0, 1} in
        2 · channels. Otherwise spikes are {-1, 0, 1}.
    """

    invertible: ClassVar[bool] = True
    precision: ClassVar[Any] = np.float32
    at_once: ClassVar[int] = 2**16
    """Samples that go to `signs` in one call, as many as a processor keeps at hand."""
    _: KW_ONLY
    split: bool = False

    @property
    def per_channel(self) -> int:
        return 2 if self.split else 1

    def aside(self, signal: Any) -> dict[str, Any]:
        x = checked("signal", signal)
        return {"start": x[:, 0] if x.ndim == 3 else x[0]}

    @abstractmethod
    def signs(self, x: np.ndarray) -> np.ndarray:
        """{-1, 0, 1} of signals, both (batch, channels, time); `x` is read-only."""

    def code(self, x: np.ndarray) -> np.ndarray:
        batch, time, channels = x.shape
        spikes = np.empty((batch, time, channels * self.per_channel), np.float32)
        few = max(1, self.at_once // (time * channels))
        for part in (slice(first, first + few) for first in range(0, batch, few)):
            signs = np.moveaxis(self.signs(np.moveaxis(x[part], 1, 2)), 2, 1)
            spikes[part] = np.concatenate([signs > 0, signs < 0], axis=-1) if self.split else signs
        return spikes

    def signed(self, spikes: Any) -> np.ndarray:
        """{-1, 0, 1} (batch, time, channels) of spikes as `encode` returned them, for `decode`."""
        z = self.received(spikes)
        channels = z.shape[2] // self.per_channel
        return z[..., :channels] - z[..., channels:] if self.split else z

    def summed(self, spikes: Any, threshold: Any, start: Any) -> np.ndarray:
        """`start` and a threshold for each spike since, in the shape of the signal, for `decode`."""
        signs = self.signed(spikes)
        start, step = (np.broadcast_to(value, (len(signs), signs.shape[2]))[:, None] for value in (start, threshold))
        return self.returned(start + step * np.cumsum(signs, axis=1), spikes)


@dataclass(frozen=True)
class ThresholdEncoder(SignedEncoder):
    """A code of spikes up and down by a fixed threshold.

    Parameters
    ----------
    threshold : float
        θ > 0, in the unit of the signal.
    split : bool
        As in `SignedEncoder`.
    """

    threshold: float = 0.1

    def __post_init__(self) -> None:
        check_number("threshold", self.threshold, positive=True)

    @classmethod
    def space(cls, x: np.ndarray) -> dict[str, Sequence[Any]]:
        return {"threshold": [float(f"{part * np.ptp(x):.3g}") for part in np.geomspace(0.005, 0.5, 17)]}

    def decode(self, spikes: Any, *, start: Any = 0.0) -> np.ndarray:
        """`start` and θ for each spike since, of the shape of the signal; a code may say otherwise.

        Parameters
        ----------
        spikes : array
            As `encode` returns.
        start : float or array (batch, channels)
            Sample 0 of the signal.
        """
        return self.summed(spikes, self.threshold, start)


def changes(x: np.ndarray) -> np.ndarray:
    """Differences of adjacent samples, (batch, channels, time - 1)."""
    return np.subtract(x[..., 1:], x[..., :-1], order="C")


def since_start(x: np.ndarray) -> np.ndarray:
    """A copy of signals less their first samples with time first, (time, batch, channels), to walk along."""
    risen = np.array(np.moveaxis(x, 2, 0), order="C")
    risen -= risen[0].copy()
    return risen


def beyond(gap: np.ndarray, threshold: Any, out: np.ndarray | None = None) -> np.ndarray:
    """1 where a gap is above the threshold, -1 where it is below minus the threshold, 0 between and at them; int8."""
    return np.subtract((gap > threshold).view(np.int8), (gap < -threshold).view(np.int8), out=out)
