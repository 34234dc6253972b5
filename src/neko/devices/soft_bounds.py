"""A device whose step vanishes at the bound that it moves to."""

from __future__ import annotations

from dataclasses import dataclass

from neko.backend.protocol import Backend
from neko.devices.base import DEVICES, Device
from neko.devices.state import DeviceState
from neko.typing import Array


@DEVICES.register("soft_bounds")
@dataclass(frozen=True)
class SoftBounds(Device):
    r"""A step that vanishes at the bound it approaches, ``Δg = d Δ (1 - d ĝ)``, ĝ from -1 to 1 between the bounds.

    With b the distance from the middle of the range to a bound, k up pulses lead from g_0 to

    .. math::
        g = b - (b - g_0) (1 - Δ/b)^k

    measured from the middle. Up and down steps are equal at the symmetry point, ``ĝ = (Δ_up - Δ_down) / (Δ_up +
    Δ_down)``, to which alternating pulses pull. Parameters as for `Device`.

    References
    ----------
    Fusi & Abbott (2007), doi:10.1038/nn1859; the soft-bounds device of Rasch et al. (2021), arXiv 2104.02184.
    """

    def shape(self, xp: Backend, state: DeviceState, up: bool) -> Array | float:
        half = 0.5 * (state.upper - state.lower)
        left = state.upper - state.g if up else state.g - state.lower
        # a device whose range has width zero stays at its bound
        return left / xp.where(half > 0.0, half, xp.ones_like(half))
