"""The interface of encoders, and what all of them share: checks of the signal, and the form of the spikes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np

from neko.arguments import is_real
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
    precision : dtype
        In which `code` takes a signal that it does not round; others come in float64.
    """

    invertible: ClassVar[bool] = False
    precision: ClassVar[Any] = np.float64
    steps: int = 1

    @property
    def per_channel(self) -> int:
        return 1

    @classmethod
    def space(cls, x: np.ndarray) -> dict[str, Sequence[Any]]:
        """Options that trade error against spikes, each with the values that `tune` tries for the signals `x`."""
        return {}

    def aside(self, signal: Any) -> dict[str, Any]:
        """What `decode` takes besides the spikes of a signal, by name, such as its first sample."""
        return {}

    @abstractmethod
    def code(self, x: np.ndarray) -> np.ndarray:
        """Spikes (batch, time · steps, channels · per_channel) of signals (batch, time, channels).

        `x` is finite, has at least one entry, and is read-only: it may be the array of the caller.
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
        x = checked("signal", signal, self.precision)
        spikes = np.asarray(self.code(x if x.ndim == 3 else x[None, :, None]), dtype=np.float32, order="C")
        return spikes if x.ndim == 3 else spikes[0] if self.per_channel > 1 else spikes[0, :, 0]

    def received(self, spikes: Any) -> np.ndarray:
        """Spikes as `encode` returned them, (batch, time · steps, channels · per_channel), float64 and read-only, for
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


def checked(name: str, signal: Any, precision: Any = np.float64) -> np.ndarray:
    """A signal, (batch, time, channels) or (time,), as `Encoder.code` takes it; errors as `Encoder.encode`."""
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
    if not np.isfinite(x).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(x))[0])
        raise ValueError(f"{name}{list(where)} is {float(x[where])!r}: expected finite numbers")
    x = x.astype(precision if np.can_cast(x.dtype, precision) else np.float64, copy=False).view()
    x.flags.writeable = False
    return x


@dataclass(frozen=True)
class RangedEncoder(Encoder):
    """A code of signals in a stated range.

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

    def within(self, x: np.ndarray) -> np.ndarray:
        """v of a signal."""
        return np.clip((x - self.low) / (self.high - self.low), 0.0, 1.0)

    def outward(self, v: np.ndarray) -> np.ndarray:
        """The signal of v: the inverse of `within`."""
        return self.low + (self.high - self.low) * v
