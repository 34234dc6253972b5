"""A device whose step changes linearly with its conductance."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from neko.arguments import is_real
from neko.backend.protocol import Backend
from neko.devices.base import DEVICES, Device, DeviceState
from neko.typing import Array


@DEVICES.register("linear")
@dataclass(frozen=True)
class LinearStep(Device):
    r"""A step that is linear in the conductance, ``Δg = d Δ (1 + γ_d ĝ)``, ĝ from -1 to 1 between the bounds.

    Other parameters as for `Device`. The conductance follows an affine recurrence until it meets a bound.
    ``γ_up = -1, γ_down = 1`` is `SoftBounds`.

    Parameters
    ----------
    gamma_up, gamma_down : float
        Slope of the up and of the down step; a step never changes its sign (it is zero where it would).

    References
    ----------
    The linear-step device of Rasch et al. (2021), arXiv 2104.02184.
    """

    _: KW_ONLY
    gamma_up: float = 0.0
    gamma_down: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("gamma_up", "gamma_down"):
            if not is_real(getattr(self, name)):
                raise ValueError(f"{name}={getattr(self, name)!r}: expected a finite slope")

    def shape(self, xp: Backend, state: DeviceState, up: bool) -> Array | float:
        middle, half = 0.5 * (state.upper + state.lower), 0.5 * (state.upper - state.lower)
        # a device whose range has width zero stays at its bound
        relative = (state.g - middle) / xp.where(half > 0.0, half, xp.ones_like(half))
        return xp.maximum(1.0 + (self.gamma_up if up else self.gamma_down) * relative, 0.0)
