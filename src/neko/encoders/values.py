"""What the codes of values share: the range, and a pattern of spikes for each sample."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np

from neko.arguments import is_real
from neko.encoders.base import Encoder


@dataclass(frozen=True)
class ValueEncoder(Encoder):
    """A code of each sample by itself; a subclass defines `pattern`.

    Parameters
    ----------
    low, high : float
        Range of the signal, in its unit; values outside are clipped to it. Spikes depend on the value in the range,
        ``v = (x - low) / (high - low)`` from 0 to 1, and never on the largest value of a signal or a batch.
    """

    _: KW_ONLY
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            if not is_real(getattr(self, name)):
                raise ValueError(f"{name}={getattr(self, name)!r}: expected a finite number")
        if self.low >= self.high:
            raise ValueError(f"low={self.low!r}, high={self.high!r}: expected low below high")

    @classmethod
    def space(cls, x: np.ndarray) -> dict[str, Sequence[Any]]:
        return {"low": [float(x.min())], "high": [float(x.max())]}

    @abstractmethod
    def pattern(self, v: np.ndarray) -> np.ndarray:
        """Spikes (batch, time, steps, per_channel, channels) of values in [0, 1], (batch, time, 1, 1, channels)."""

    def code(self, x: np.ndarray) -> np.ndarray:
        v = np.clip((x - self.low) / (self.high - self.low), 0.0, 1.0)
        batch, time, channels = x.shape
        return self.pattern(v[:, :, None, None]).reshape(batch, time * self.steps, self.per_channel * channels)


class InvertibleEncoder(ValueEncoder):
    """A code of values with an inverse; a subclass defines `values`."""

    invertible: ClassVar[bool] = True

    @abstractmethod
    def values(self, z: np.ndarray) -> np.ndarray:
        """Values in [0, 1], (batch, time, channels), of spikes (batch, time, steps, per_channel, channels)."""

    def decode(self, spikes: Any) -> np.ndarray:
        """The value of each sample, of the shape of the signal.

        Parameters
        ----------
        spikes : array
            As `encode` returns.
        """
        z = self.received(spikes)
        v = self.values(z.reshape(len(z), -1, self.steps, self.per_channel, z.shape[2] // self.per_channel))
        return self.returned(self.low + (self.high - self.low) * v, spikes)
