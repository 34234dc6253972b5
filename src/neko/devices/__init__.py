"""Models of analog synapses: how a conductance answers a pulse, what is wrong with it, and how it stores a weight."""

from neko.devices.base import DEVICES, Device
from neko.devices.constant import ConstantStep
from neko.devices.exponential import ExponentialStep
from neko.devices.file import load, save
from neko.devices.fitting import fit
from neko.devices.imperfections import (
    IMPERFECTIONS,
    Decay,
    Drift,
    Endurance,
    Imperfection,
    Levels,
    ReadNoise,
    Stuck,
    WriteNoise,
)
from neko.devices.linear import LinearStep
from neko.devices.lookup import get, make
from neko.devices.piecewise import PiecewiseStep
from neko.devices.power import PowerStep
from neko.devices.presets import PRESETS
from neko.devices.soft_bounds import SoftBounds
from neko.devices.state import DeviceState
from neko.devices.storage import STORAGES, DifferentialPair, OneSidedPair, SingleDevice, Storage, Stored

__all__ = [
    "DEVICES",
    "IMPERFECTIONS",
    "PRESETS",
    "STORAGES",
    "ConstantStep",
    "Decay",
    "Device",
    "DeviceState",
    "DifferentialPair",
    "Drift",
    "Endurance",
    "ExponentialStep",
    "Imperfection",
    "Levels",
    "LinearStep",
    "OneSidedPair",
    "PiecewiseStep",
    "PowerStep",
    "ReadNoise",
    "SingleDevice",
    "SoftBounds",
    "Storage",
    "Stored",
    "Stuck",
    "WriteNoise",
    "fit",
    "get",
    "load",
    "make",
    "save",
]
