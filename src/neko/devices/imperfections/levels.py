"""Devices with few conductance levels."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

from neko.arguments import check_integer
from neko.backend.protocol import Backend
from neko.devices.imperfections.base import IMPERFECTIONS, Imperfection
from neko.devices.state import DeviceState
from neko.typing import Array


@IMPERFECTIONS.register("levels")
@dataclass(frozen=True)
class Levels(Imperfection):
    r"""Only `number` conductances are stable, equally spaced between a device's bounds; after every write it takes one.

    With deterministic rounding a device takes the nearest level, so that steps below half the spacing never move it.
    With stochastic rounding it takes the lower or the upper neighbour with probabilities that keep the mean,

    .. math::
        P(\text{upper}) = (g - l) / s, \qquad s = (g_{max} - g_{min}) / (number - 1),

    where l is the lower neighbour. Programming with verification takes the nearest level in both cases.

    Parameters
    ----------
    number : int
        Number of levels, at least 2.
    stochastic : bool
        Whether the rounding after a pulse is stochastic.

    References
    ----------
    Stochastic rounding: Gupta et al. (2015), arXiv 1502.02551.
    """

    number: int
    _: KW_ONLY
    stochastic: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "number", check_integer("number", self.number, least=2))

    @property
    def draws(self) -> bool:
        return self.stochastic

    def settle(self, xp: Backend, key: Array | None, moved: DeviceState, own: Any, written: Array) -> tuple[Array, Any]:
        spacing = (moved.upper - moved.lower) / (self.number - 1)
        # a device whose range has width zero stays at its bound
        place = (moved.g - moved.lower) / xp.where(spacing > 0.0, spacing, xp.ones_like(spacing))
        if key is not None:
            level = xp.floor(place + xp.random.uniform(key, tuple(moved.g.shape)))
        else:
            level = xp.floor(place + 0.5)
        g = xp.minimum(moved.lower + spacing * xp.minimum(level, self.number - 1.0), moved.upper)
        return xp.where(written, g, moved.g), own
