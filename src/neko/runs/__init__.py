"""Runs: a folder with its configuration, history, checkpoints and figures.

Configurations import no framework; runs are imported at first use.
"""

import importlib
from typing import Any

from neko.runs.config import COMMANDS, CompareConfig, Config, SampleConfig, TrainConfig
from neko.runs.record import CONFIG, read_config, write_config

_FOLDER = ("CHECKPOINTS", "FIGURES", "HISTORY", "RUNS", "Run", "load", "of", "run")


def __getattr__(name: str) -> Any:
    if name in _FOLDER:
        return getattr(importlib.import_module("neko.runs.folder"), name)
    raise AttributeError(f"module 'neko.runs' has no attribute {name!r}")


__all__ = [  # noqa: PLE0604
    *_FOLDER,
    "COMMANDS",
    "CONFIG",
    "CompareConfig",
    "Config",
    "SampleConfig",
    "TrainConfig",
    "read_config",
    "write_config",
]
