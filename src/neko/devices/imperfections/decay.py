"""Conductances that return exponentially to a resting value."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from neko.arguments import check_number
from neko.backend.protocol import Backend
from neko.devices.imperfections.base import IMPERFECTIONS, Imperfection
from neko.devices.state import DeviceState
from neko.typing import Array


@IMPERFECTIONS.register("decay")
@dataclass(frozen=True)
class Decay(Imperfection):
    r"""A conductance returns to its resting value exponentially, as in volatile and electrochemical devices.

    .. math::
        g(t) = g_∞ + (g(0) - g_∞)\, e^{-t/τ}, \qquad g_∞ = g_{min} + rest\, (g_{max} - g_{min})

    Parameters
    ----------
    tau : float
        τ in seconds.
    rest : float
        The resting value, from 0 for the lower to 1 for the upper bound.
    """

    ages: ClassVar[bool] = True

    _: KW_ONLY
    tau: float
    rest: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "tau", check_number("tau", self.tau, positive=True))
        object.__setattr__(self, "rest", check_number("rest", self.rest))
        if self.rest > 1.0:
            raise ValueError(f"rest={self.rest!r}: expected a number from 0 (lower bound) to 1 (upper bound)")

    def elapse(self, xp: Backend, state: DeviceState, own: Any, seconds: float) -> tuple[Array, Any]:
        rest = state.lower + self.rest * (state.upper - state.lower)
        return rest + (state.g - rest) * math.exp(-seconds / self.tau), own
