"""A device from its measured pulses."""

from neko.devices.fitting.fit import fit
from neko.devices.fitting.reading import Pulses, read
from neko.devices.fitting.result import Estimate, Fit

__all__ = ["Estimate", "Fit", "Pulses", "fit", "read"]
