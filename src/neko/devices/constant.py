"""A device with the same step everywhere."""

from __future__ import annotations

from dataclasses import dataclass

from neko.backend.protocol import Backend
from neko.devices.base import DEVICES, Device, DeviceState
from neko.typing import Array


@DEVICES.register("constant")
@dataclass(frozen=True)
class ConstantStep(Device):
    """``Δg = d Δ`` up to the bounds: the paper's constrained Manhattan rule; parameters as for `Device`.

    The defaults are the paper's material, 1e-6 to 2e-3 S in steps of 1e-5 S. They are round numbers for an idealised
    synapse and no measurement: no noise, no spread, no asymmetry.

    References
    ----------
    Zhao et al. (2021), "Neko: a library for exploring neuromorphic learning rules", section 3.3.
    """

    def shape(self, xp: Backend, state: DeviceState, up: bool) -> Array | float:
        return 1.0
