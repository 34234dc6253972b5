"""A device whose step changes exponentially with its conductance."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from neko.arguments import is_real
from neko.backend.protocol import Backend
from neko.devices.base import DEVICES, Device
from neko.devices.position import relative
from neko.devices.state import DeviceState
from neko.typing import Array


@DEVICES.register("exponential")
@dataclass(frozen=True)
class ExponentialStep(Device):
    r"""A step with a part that is exponential in the conductance, ``Δg = d Δ (1 - s_d + s_d exp(-d γ_d ĝ))``.

    ĝ runs from -1 to 1 between the bounds; a step never changes its sign (it is zero where it would). With ``s = 1``
    the step is purely exponential. Other parameters as for `Device`.

    Parameters
    ----------
    gamma_up, gamma_down : float
        Rate γ of the exponential part; above 0 steps shrink towards the bound that they lead to.
    share_up, share_down : float
        s, part of the step at mid-range that is exponential; the rest is constant.

    Notes
    -----
    The ExpStep device of Rasch et al. (2021), ``1 - A exp(d γ z)`` with ``z = a ĝ + b``, is this law: ``γ_d = -a γ``,
    ``s_d = A' / (A' - 1)`` with ``A' = A exp(d γ b)``, and a step that is 1 - A' times as large.

    A step that is exponential in the *number* of pulses, NeuroSim's ``B (1 - exp(-p/A))``, is linear in the
    conductance: `LinearStep.saturating`.

    With ``s = 1`` and small Δ, p up pulses lead from ĝ_0 to ``ln(exp(γ ĝ_0) + γ Δ p / b) / γ``, b the distance from the
    middle of the range to a bound.

    References
    ----------
    Querlioz et al. (2013), doi:10.1109/TNANO.2013.2250995, for ``s = 1``; Rasch et al. (2021), arXiv 2104.02184.
    """

    _: KW_ONLY
    gamma_up: float = 1.0
    gamma_down: float = 1.0
    share_up: float = 1.0
    share_down: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("gamma_up", "gamma_down", "share_up", "share_down"):
            if not is_real(getattr(self, name)):
                raise ValueError(f"{name}={getattr(self, name)!r}: expected a finite number")

    def shape(self, xp: Backend, state: DeviceState, up: bool) -> Array | float:
        share, rate = (self.share_up, -self.gamma_up) if up else (self.share_down, self.gamma_down)
        return xp.maximum(1.0 - share + share * xp.exp(rate * relative(xp, state)), 0.0)
