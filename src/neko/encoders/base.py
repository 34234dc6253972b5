"""The interface of encoders, and what all of them share: checks of the signal, and the form of the spikes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np

from neko.registry import Registry

ENCODERS: Registry[type[Encoder]] = Registry(
    "encoder", "neko.encoders", required=("source",), other="file.py:Class of an own encoder"
)
"""Encoders by name. Each entry names the publication whose definition it follows."""


class Encoder(ABC):
    """A code from signals to spikes; a subclass, a frozen dataclass, defines `code`.

    Encoding depends on one signal at a time: never on its neighbours in the batch, on a global random generator or on
    an earlier call. The signal is not changed.

    Attributes
    ----------
    steps : int
        Time steps of spikes for each sample of the signal.
    per_channel : int
        Channels of spikes for each channel of the signal.
    invertible : bool
        Whether the encoder has a method ``decode(spikes)``.
    """

    invertible: ClassVar[bool] = False
    steps: int = 1

    @property
    def per_channel(self) -> int:
        return 1

    @abstractmethod
    def code(self, x: np.ndarray) -> np.ndarray:
        """Spikes (batch, time · steps, channels · per_channel) of signals (batch, time, channels) in float64.

        `x` is finite, has at least one entry, and may be changed: it is a copy.
        """

    def encode(self, signal: Any) -> np.ndarray:
        """Spikes of a signal.

        Parameters
        ----------
        signal : array (batch, time, channels), or (time,)
            Finite numbers of any real dtype.

        Returns
        -------
        ndarray
            float32, (batch, time · steps, channels · per_channel). The spikes of channel c are at ``c``,
            ``channels + c``, …; those of a signal (time,) have shape (time · steps,), or (time · steps, per_channel)
            where that is more than one.

        Raises
        ------
        ValueError
            For another shape, no samples, or entries that are not finite.
        TypeError
            For what is not numbers.
        """
        x = checked("signal", signal)
        spikes = self.code(x if x.ndim == 3 else x[None, :, None]).astype(np.float32)
        return spikes if x.ndim == 3 else spikes[0] if self.per_channel > 1 else spikes[0, :, 0]

    def received(self, spikes: Any) -> np.ndarray:
        """A copy of spikes as `encode` returned them, (batch, time · steps, channels · per_channel), float64, for
        `decode`; ValueError for another shape."""
        single = np.ndim(spikes) == (2 if self.per_channel > 1 else 1)
        z = checked("spikes", np.asarray(spikes)[None] if single and self.per_channel > 1 else spikes)
        z = z[None, :, None] if z.ndim == 1 else z
        if z.shape[1] % self.steps or z.shape[2] % self.per_channel:
            raise ValueError(
                f"spikes have shape {np.shape(spikes)!r}: expected time in multiples of {self.steps} and channels in "
                f"multiples of {self.per_channel}, as encode returns them"
            )
        return z

    def returned(self, x: np.ndarray, spikes: Any) -> np.ndarray:
        """A decoded signal (batch, time, channels) in the shape of the signal that was encoded."""
        return x if np.ndim(spikes) == 3 else x[0, :, 0]


def checked(name: str, signal: Any) -> np.ndarray:
    """A copy of a signal in float64, (batch, time, channels) or (time,); see `Encoder.encode` for errors."""
    x = np.asarray(signal)
    if not (np.issubdtype(x.dtype, np.number) or x.dtype == bool) or np.iscomplexobj(x):
        raise TypeError(f"{name} has dtype {str(x.dtype)!r}: expected real numbers")
    if x.ndim == 2:
        raise ValueError(
            f"{name} has shape {x.shape!r}, which may be (batch, time) or (time, channels): expected "
            f"(batch, time, channels); give {name}[..., None] or {name}[None]"
        )
    if x.ndim not in (1, 3) or 0 in x.shape:
        raise ValueError(f"{name} has shape {x.shape!r}: expected (batch, time, channels) or (time,), none of them 0")
    x = x.astype(np.float64)
    if not np.isfinite(x).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(x))[0])
        raise ValueError(f"{name}{list(where)} is {x[where]!r}: expected finite numbers")
    return x


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
    _: KW_ONLY
    split: bool = False

    @property
    def per_channel(self) -> int:
        return 2 if self.split else 1

    @abstractmethod
    def signs(self, x: np.ndarray) -> np.ndarray:
        """{-1, 0, 1}, of the shape of `x` (batch, time, channels)."""

    def code(self, x: np.ndarray) -> np.ndarray:
        signs = self.signs(x)
        return np.concatenate([signs > 0, signs < 0], axis=-1) if self.split else signs

    def signed(self, spikes: Any) -> np.ndarray:
        """{-1, 0, 1} (batch, time, channels) of spikes as `encode` returned them, for `decode`."""
        z = self.received(spikes)
        channels = z.shape[2] // self.per_channel
        return z[..., :channels] - z[..., channels:] if self.split else z
