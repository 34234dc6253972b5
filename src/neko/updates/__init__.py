"""Updates: from gradients to new parameters."""

from neko.backend.update import Update
from neko.updates.analog import Analog, Coincidences, Manhattan, MixedPrecision, ProbabilisticPulses, TikiTaka
from neko.updates.base import Scheduled, check_clip_norm, clip_by_global_norm, resolve
from neko.updates.naive import Naive
from neko.updates.registry import UPDATES, names
from neko.updates.schedules import Constant, Cosine, Exponential, Warmup

__all__ = [
    "UPDATES",
    "Analog",
    "Coincidences",
    "Constant",
    "Cosine",
    "Exponential",
    "Manhattan",
    "MixedPrecision",
    "Naive",
    "ProbabilisticPulses",
    "Scheduled",
    "TikiTaka",
    "Update",
    "Warmup",
    "check_clip_norm",
    "clip_by_global_norm",
    "names",
    "resolve",
]
