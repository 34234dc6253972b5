"""Devices that neither pulses nor programming move."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

from neko.arguments import check_number
from neko.backend.protocol import Backend
from neko.devices.imperfections.base import IMPERFECTIONS, Imperfection
from neko.devices.state import DeviceState
from neko.typing import Array


@IMPERFECTIONS.register("stuck")
@dataclass(frozen=True)
class Stuck(Imperfection):
    """A fraction of the devices never moves: stuck at their smallest, their largest or a random conductance.

    Which devices are stuck is drawn once, independently of each other.

    Parameters
    ----------
    at_min, at_max, at_random : float
        Probability that a device is stuck at the lower bound (an open cell), at the upper bound (a shorted one), or at
        a level drawn uniformly between them; together at most 1.

    References
    ----------
    The corrupt devices of Rasch et al. (2021), arXiv 2104.02184; stuck-at faults of crossbars in Chen et al. (2015),
    doi:10.1109/TC.2014.12.
    """

    _: KW_ONLY
    at_min: float = 0.0
    at_max: float = 0.0
    at_random: float = 0.0

    def __post_init__(self) -> None:
        for name in ("at_min", "at_max", "at_random"):
            object.__setattr__(self, name, check_number(name, getattr(self, name)))
        if self.total > 1.0:
            raise ValueError(f"{self!r}: expected fractions of the devices whose sum is at most 1")

    @property
    def total(self) -> float:
        """The fraction of stuck devices."""
        return self.at_min + self.at_max + self.at_random

    def init(self, xp: Backend, key: Array, state: DeviceState) -> Any:
        """Whether each device is stuck, 1 or 0, and at which conductance."""
        size = tuple(state.g.shape)
        keys = xp.unstack(xp.random.split(key))
        lot = xp.random.uniform(keys[0], size)
        level = state.lower + (state.upper - state.lower) * xp.random.uniform(keys[1], size)
        level = xp.where(lot < self.at_min + self.at_max, state.upper + 0.0 * level, level)
        level = xp.where(lot < self.at_min, state.lower + 0.0 * level, level)
        return xp.astype(lot < self.total, xp.dtype), level

    def fixed(self, xp: Backend, before: DeviceState, moved: DeviceState, own: Any) -> Array:
        stuck, level = own
        return xp.where(stuck > 0.0, level, moved.g)

    def fractions(self, xp: Backend, state: DeviceState, own: Any) -> dict[str, Array]:
        return {"stuck": own[0] > 0.0}
