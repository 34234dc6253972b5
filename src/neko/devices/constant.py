"""A device with the same step everywhere."""

from __future__ import annotations

from dataclasses import dataclass

from neko.backend.protocol import Backend
from neko.devices.base import DEVICES, Device
from neko.devices.state import DeviceState
from neko.typing import Array


@DEVICES.register("constant")
@dataclass(frozen=True)
class ConstantStep(Device):
    """The same step at every conductance, ``Δg = d Δ``, up to the bounds: the constrained Manhattan rule.

    Parameters as for `Device`. The defaults are the paper's material, 1e-6 to 2e-3 S in steps of 1e-5 S: round numbers
    for an idealised synapse, without noise, spread or asymmetry, and not measured on a device.

    References
    ----------
    Zhao et al. (2021), "Neko: a library for exploring neuromorphic learning rules", section 3.3.
    """

    def shape(self, xp: Backend, state: DeviceState, up: bool) -> Array | float:
        return 1.0
