"""Models of analog synapses: how a conductance answers a pulse."""

from neko.devices.base import Device, DeviceState
from neko.devices.constant import ConstantStep
from neko.devices.linear import LinearStep
from neko.devices.pair import DifferentialPair, PairState
from neko.devices.soft_bounds import SoftBounds

DEVICES: dict[str, type[Device]] = {"constant": ConstantStep, "linear": LinearStep, "soft_bounds": SoftBounds}


def get(name: str) -> type[Device]:
    """The device class of a name; ValueError lists the names there are."""
    if not isinstance(name, str) or name not in DEVICES:
        raise ValueError(f"device {name!r}: expected one of {sorted(DEVICES)}")
    return DEVICES[name]


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
