"""Updates of weights that lie in analog devices, by pulses."""

from neko.updates.analog.base import Analog
from neko.updates.analog.coincidences import Coincidences
from neko.updates.analog.manhattan import Manhattan
from neko.updates.analog.mixed_precision import MixedPrecision
from neko.updates.analog.probabilistic_pulses import ProbabilisticPulses
from neko.updates.analog.tiki_taka import TikiTaka
from neko.updates.analog.update import AnalogUpdate

__all__ = [
    "Analog",
    "AnalogUpdate",
    "Coincidences",
    "Manhattan",
    "MixedPrecision",
    "ProbabilisticPulses",
    "TikiTaka",
]
