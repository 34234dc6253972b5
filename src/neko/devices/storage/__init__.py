"""How weights are stored in conductances."""

from neko.devices.storage.base import STORAGES, Storage, Stored
from neko.devices.storage.one_sided import OneSidedPair
from neko.devices.storage.pair import DifferentialPair
from neko.devices.storage.single import SingleDevice

__all__ = ["STORAGES", "DifferentialPair", "OneSidedPair", "SingleDevice", "Storage", "Stored"]
