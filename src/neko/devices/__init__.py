"""Models of analog synapses: how a conductance answers a pulse."""

from neko.devices.base import DEVICES, Device, DeviceState
from neko.devices.constant import ConstantStep
from neko.devices.linear import LinearStep
from neko.devices.pair import DifferentialPair, PairState
from neko.devices.soft_bounds import SoftBounds

get = DEVICES.get

__all__ = [
    "DEVICES",
    "ConstantStep",
    "Device",
    "DeviceState",
    "DifferentialPair",
    "LinearStep",
    "PairState",
    "SoftBounds",
    "get",
]
