"""A device whose step is a power of the distance to the bound that it moves to."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from neko.arguments import check_number
from neko.backend.protocol import Backend
from neko.devices.base import DEVICES, Device
from neko.devices.position import relative
from neko.devices.state import DeviceState
from neko.typing import Array


@DEVICES.register("power")
@dataclass(frozen=True)
class PowerStep(Device):
    r"""A step that is a power of the distance to the bound it approaches, ``Δg = d Δ (1 - d ĝ)^γ_d``.

    ĝ runs from -1 to 1 between the bounds. ``γ = 1`` is `SoftBounds`, ``γ = 0`` is `ConstantStep`; with ``γ = 2`` the
    distance to the bound falls as one over the number of pulses. Other parameters as for `Device`.

    Parameters
    ----------
    gamma_up, gamma_down : float
        Exponent γ of up and of down steps, at least 0.

    Notes
    -----
    The PowStep device of Rasch et al. (2021), with ω = (1 - ĝ)/2, is ``ω^γ`` up and ``(1 - ω)^γ`` down: this law with a
    step Δ that is 2^-γ times as large, since here the step is Δ at mid-range, there at the opposite bound.

    References
    ----------
    Fusi & Abbott (2007), doi:10.1038/nn1859; Rasch et al. (2021), arXiv 2104.02184.
    """

    _: KW_ONLY
    gamma_up: float = 2.0
    gamma_down: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("gamma_up", "gamma_down"):
            object.__setattr__(self, name, check_number(name, getattr(self, name)))

    def shape(self, xp: Backend, state: DeviceState, up: bool) -> Array | float:
        position = relative(xp, state)
        # rounding may place a device at its bound a little beyond it
        left = xp.maximum(1.0 - position if up else 1.0 + position, 0.0)
        return left ** (self.gamma_up if up else self.gamma_down)
