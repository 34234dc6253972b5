"""Runs: a folder with its configuration, history, checkpoints and figures."""

from neko.runs.config import CONFIG, Config, read_config, versions, warn_of_versions, write_config
from neko.runs.folder import (
    CHECKPOINTS,
    FIGURES,
    HISTORY,
    draw,
    evaluator_of,
    load,
    optimizer_options,
    train,
    trainer_of,
)

__all__ = [
    "CHECKPOINTS",
    "CONFIG",
    "FIGURES",
    "HISTORY",
    "Config",
    "draw",
    "evaluator_of",
    "load",
    "optimizer_options",
    "read_config",
    "train",
    "trainer_of",
    "versions",
    "warn_of_versions",
    "write_config",
]
