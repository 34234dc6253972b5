"""What updates have in common that write an optimizer's changes by pulses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass

from neko.arguments import check_integer
from neko.backend.protocol import Backend
from neko.devices import ConstantStep, Device, Storage, Stored
from neko.typing import Array
from neko.updates.analog.base import Analog, check_optimizer


@dataclass(frozen=True)
class Following(Analog):
    """Pulses that follow the changes which an optimizer wants.

    Parameters
    ----------
    device : Device or Storage
        By default the paper's material, `ConstantStep`.
    optimizer : str
        Name of the framework's optimizer whose changes are written: ``'sgd'``, ``'adam'``, …
    learning_rate : float or callable
        Its rate, a number or a schedule ``step -> rate``; also of digital parameters.
    most : int
        Largest number of pulses to one device in an update.
    w_max, digital, seconds, seed
        As for `Analog`.
    """

    _: KW_ONLY
    device: Device | Storage | None = None
    optimizer: str = "sgd"
    learning_rate: float | Callable[[int], float] = 0.1
    most: int = 1

    def __post_init__(self) -> None:
        if self.device is None:
            object.__setattr__(self, "device", ConstantStep())
        super().__post_init__()
        check_optimizer(self.optimizer)
        object.__setattr__(self, "most", check_integer("most", self.most))

    def write_whole(
        self, xp: Backend, key: Array, storage: Storage, stored: Stored, waiting: Array
    ) -> tuple[Stored, Array]:
        """Devices after the whole pulses of a change χ that waits, ``trunc(χ / ε)`` within ±`most`, and its rest."""
        size = storage.pulse_size * stored.scale
        number = self.limited(xp, waiting, xp.floor(xp.abs(waiting) / size))
        return storage.train(xp, key, stored, number, self.most), waiting - number * size

    def write_by_chance(self, xp: Backend, key: Array, storage: Storage, stored: Stored, wanted: Array) -> Stored:
        """The devices after a number of pulses whose mean is the wanted change, within ±`most`."""
        keys = xp.unstack(xp.random.split(key))
        lot = xp.random.uniform(keys[0], tuple(wanted.shape))
        number = self.limited(xp, wanted, xp.floor(xp.abs(wanted) / (storage.pulse_size * stored.scale) + lot))
        return storage.train(xp, keys[1], stored, number, self.most)

    def limited(self, xp: Backend, wanted: Array, number: Array) -> Array:
        """At most `most` pulses in the direction of a wanted change."""
        return xp.sign(wanted) * xp.minimum(number, float(self.most))
