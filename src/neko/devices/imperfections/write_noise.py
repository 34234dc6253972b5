"""Writes whose visible result differs from the hidden conductance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from neko.arguments import check_number
from neko.backend.protocol import Backend
from neko.devices.imperfections.base import IMPERFECTIONS, Imperfection
from neko.devices.state import DeviceState
from neko.typing import Array


@IMPERFECTIONS.register("write_noise")
@dataclass(frozen=True)
class WriteNoise(Imperfection):
    r"""After each pulse the apparent conductance lies at random about the hidden one, which pulses move.

    .. math::
        g_{apparent} = g + σ\, Δ\, ξ, \qquad ξ \sim N(0, 1),

    with Δ the mean of the device's up and down steps. ξ is drawn at every pulse and stays until the next one; the
    noise does not add up from pulse to pulse, unlike `dg_min_std`. Programming with verification leaves none.

    Parameters
    ----------
    std : float
        σ, in units of the step at mid-range.

    References
    ----------
    The write noise of Rasch et al. (2021), arXiv 2104.02184.
    """

    std: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "std", check_number("std", self.std))

    @property
    def draws(self) -> bool:
        return True

    def init(self, xp: Backend, key: Array, state: DeviceState) -> Any:
        """The present difference of apparent and hidden conductance."""
        return xp.zeros_like(state.g)

    def settle(self, xp: Backend, key: Array | None, moved: DeviceState, own: Any, written: Array) -> tuple[Array, Any]:
        offset = xp.zeros_like(own)
        if key is not None:
            step = 0.5 * (moved.step_up + moved.step_down)
            offset = self.std * step * xp.random.normal(key, tuple(moved.g.shape))
        return moved.g, xp.where(written, offset, own)

    def apparent(self, xp: Backend, g: Array, own: Any) -> Array:
        return g + own
