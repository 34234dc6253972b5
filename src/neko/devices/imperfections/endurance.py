"""Devices that fail after a number of pulses."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

from neko.arguments import check_choice, check_number
from neko.backend.protocol import Backend
from neko.devices.imperfections.base import IMPERFECTIONS, Imperfection
from neko.devices.state import DeviceState
from neko.typing import Array

ENDS = ("stay", "min", "max")


@IMPERFECTIONS.register("endurance")
@dataclass(frozen=True)
class Endurance(Imperfection):
    r"""A device takes a limited number of pulses; worn out, it never moves again.

    The limit of each device is drawn once, log-normal about its median,

    .. math::
        N = pulses\, e^{σ ξ}, \qquad ξ \sim N(0, 1).

    Programming does not count as a pulse, and does not move a device that is worn out.

    Parameters
    ----------
    pulses : float
        Median number of pulses that a device survives.
    spread : float
        σ, standard deviation of the logarithm of that number from device to device.
    end : {'stay', 'min', 'max'}
        Where a worn-out device is: where it was, at its lower or at its upper bound.
    """

    pulses: float
    _: KW_ONLY
    spread: float = 0.0
    end: str = "stay"

    def __post_init__(self) -> None:
        object.__setattr__(self, "pulses", check_number("pulses", self.pulses, positive=True))
        object.__setattr__(self, "spread", check_number("spread", self.spread))
        check_choice("end", self.end, ENDS)

    def init(self, xp: Backend, key: Array, state: DeviceState) -> Any:
        """The number of pulses that each device survives."""
        if not self.spread:
            return xp.ones(()) * self.pulses
        return self.pulses * xp.exp(self.spread * xp.random.normal(key, tuple(state.g.shape)))

    def fixed(self, xp: Backend, before: DeviceState, moved: DeviceState, own: Any) -> Array:
        if self.end == "stay":
            return xp.where(before.pulses >= own, before.g, moved.g)
        bound = moved.lower if self.end == "min" else moved.upper
        return xp.where(moved.pulses >= own, bound + 0.0 * moved.g, moved.g)

    def fractions(self, xp: Backend, state: DeviceState, own: Any) -> dict[str, Array]:
        return {"worn_out": state.pulses >= own}
