"""A device whose step changes linearly with its conductance."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any

from neko.arguments import check_integer, check_number, is_real
from neko.backend.protocol import Backend
from neko.devices.base import DEVICES, Device
from neko.devices.position import relative
from neko.devices.state import DeviceState
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

    @classmethod
    def saturating(
        cls, *, a_up: float, a_down: float, pulses_up: int, pulses_down: int, g_min: float, g_max: float, **options: Any
    ) -> LinearStep:
        """A device whose conductance follows NeuroSim's exponential law in the number of pulses p.

        From g_min, p up pulses lead to ``g_min + B (1 - exp(-p / (A P)))``, which is g_max after all P of them; down
        pulses lead from g_max back to g_min by the same law with their own A and P. Each pulse covers the same part of
        what is left to the asymptote, so that the step is linear in the conductance.

        Parameters
        ----------
        a_up, a_down : float
            A, relative to the number of pulses; smaller values are less linear.
        pulses_up, pulses_down : int
            P, number of pulses between the bounds.
        g_min, g_max : float
            As for `Device`.
        **options
            Further parameters of the device.

        References
        ----------
        Chen, Peng & Yu (2018), "NeuroSim", doi:10.1109/TCAD.2018.2789723.

        Examples
        --------
        >>> device = LinearStep.saturating(a_up=0.5, a_down=0.2, pulses_up=100, pulses_down=100, g_min=1e-6, g_max=1e-4)
        >>> round(device.gamma_up, 3), round(device.gamma_down, 3)
        (-0.762, 0.987)
        """
        a_up, a_down = (check_number(name, a, positive=True) for name, a in (("a_up", a_up), ("a_down", a_down)))
        pulses = [check_integer(name, p) for name, p in (("pulses_up", pulses_up), ("pulses_down", pulses_down))]
        half = 0.5 * (g_max - g_min)
        # the asymptote lies half / |gamma| from the middle of the range
        slopes = [math.tanh(0.5 / a) for a in (a_up, a_down)]
        up, down = (
            -half / k * math.expm1(-1.0 / (a * p)) for k, a, p in zip(slopes, (a_up, a_down), pulses, strict=True)
        )
        options = {"dg_min": 0.5 * (up + down), "up_down": (up - down) / (up + down), **options}
        return cls(gamma_up=-slopes[0], gamma_down=slopes[1], g_min=g_min, g_max=g_max, **options)

    def shape(self, xp: Backend, state: DeviceState, up: bool) -> Array | float:
        return xp.maximum(1.0 + (self.gamma_up if up else self.gamma_down) * relative(xp, state), 0.0)
