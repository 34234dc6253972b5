"""Imperfections of devices: each acts on top of any law of the step, and they combine.

``SoftBounds(imperfections=[Stuck(at_min=0.05), Levels(64)])``.
"""

from neko.devices.imperfections.base import IMPERFECTIONS, Imperfection
from neko.devices.imperfections.decay import Decay
from neko.devices.imperfections.drift import Drift
from neko.devices.imperfections.endurance import Endurance
from neko.devices.imperfections.levels import Levels
from neko.devices.imperfections.read_noise import ReadNoise
from neko.devices.imperfections.stuck import Stuck
from neko.devices.imperfections.write_noise import WriteNoise

__all__ = [
    "IMPERFECTIONS",
    "Decay",
    "Drift",
    "Endurance",
    "Imperfection",
    "Levels",
    "ReadNoise",
    "Stuck",
    "WriteNoise",
]
