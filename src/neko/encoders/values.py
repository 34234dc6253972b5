"""What the codes of values share: a pattern of spikes for each sample."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np

from neko.encoders.base import RangedEncoder


class ValueEncoder(RangedEncoder):
    """A code of each sample by itself; a subclass defines `pattern`."""

    @abstractmethod
    def pattern(self, v: np.ndarray) -> np.ndarray:
        """Spikes (batch, time, steps, per_channel, channels) of values in [0, 1], (batch, time, 1, 1, channels)."""

    def code(self, x: np.ndarray) -> np.ndarray:
        batch, time, channels = x.shape
        spikes = self.pattern(self.within(x)[:, :, None, None])
        return spikes.reshape(batch, time * self.steps, self.per_channel * channels)


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
        return self.returned(self.outward(v), spikes)
