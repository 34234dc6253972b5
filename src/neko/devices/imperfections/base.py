"""What is wrong with real devices, on top of any law of their step."""

from __future__ import annotations

from abc import ABC
from typing import Any, ClassVar

from neko.backend.protocol import Backend
from neko.devices.state import DeviceState
from neko.registry import Registry
from neko.typing import Array


class Imperfection(ABC):  # noqa: B024
    """A property of real devices that acts on top of the law of their step; subclass it and define what differs.

    All methods are pure and element-wise, so that they run on every backend and in one pass over the memory. `own` is
    what the imperfection stores of its devices: a tree of arrays, of the devices' shape or scalars.

    Attributes
    ----------
    ages : bool
        Whether devices change with time, so that an update needs the time between two of its steps.
    noisy : bool
        Whether every read differs.
    """

    ages: ClassVar[bool] = False
    noisy: ClassVar[bool] = False

    @property
    def draws(self) -> bool:
        """Whether `settle` draws random numbers after a pulse."""
        return False

    def init(self, xp: Backend, key: Array, state: DeviceState) -> Any:
        """What is stored of new devices."""
        return ()

    def settle(self, xp: Backend, key: Array | None, moved: DeviceState, own: Any, written: Array) -> tuple[Array, Any]:
        """Conductance and own state after pulses, or after programming with verification, without a key.

        `written` is true for devices that had a pulse or were programmed.
        """
        return moved.g, own

    def fixed(self, xp: Backend, before: DeviceState, moved: DeviceState, own: Any) -> Array:
        """The conductance where some devices cannot move at all; asked last, after every move."""
        return moved.g

    def elapse(self, xp: Backend, state: DeviceState, own: Any, seconds: float) -> tuple[Array, Any]:
        """Conductance and own state after a time without pulses."""
        return state.g, own

    def apparent(self, xp: Backend, g: Array, own: Any) -> Array:
        """The conductance that is read, where it differs from the hidden one that pulses move."""
        return g

    def read(self, xp: Backend, key: Array, state: DeviceState, g: Array) -> Array:
        """A conductance as one noisy read shows it; only of classes with ``noisy = True``."""
        return g

    def fractions(self, xp: Backend, state: DeviceState, own: Any) -> dict[str, Array]:
        """Conditions for each device whose fraction the history shows, by name."""
        return {}


IMPERFECTIONS: Registry[type[Imperfection]] = Registry("imperfection", "neko.devices.imperfections")
