"""Updates: from gradients to new parameters."""

from neko.backend.update import Update
from neko.updates.base import Scheduled, check_clip_norm, clip_by_global_norm, resolve
from neko.updates.manhattan import Manhattan
from neko.updates.naive import Naive
from neko.updates.registry import UPDATES, names
from neko.updates.schedules import Constant, Cosine, Exponential, Warmup

__all__ = [
    "UPDATES",
    "Constant",
    "Cosine",
    "Exponential",
    "Manhattan",
    "Naive",
    "Scheduled",
    "Update",
    "Warmup",
    "check_clip_norm",
    "clip_by_global_norm",
    "names",
    "resolve",
]
