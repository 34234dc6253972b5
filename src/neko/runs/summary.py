"""What is known of a run without loading it: its configuration and its history."""

from __future__ import annotations

import dataclasses
import datetime
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from neko.runs.config import COMMANDS, Config
from neko.runs.record import CONFIG, HISTORY, config_of, contents
from neko.training.history import History


@dataclass(frozen=True)
class Summary:
    """A run's folder; `damage` says what is wrong with it, and is None for a run that can be read."""

    folder: Path
    date: datetime.datetime
    config: Config | None = None
    history: History = field(default_factory=History)
    damage: str | None = None

    @property
    def options(self) -> dict[str, Any]:
        """The command and its options."""
        return {} if self.config is None else {"command": self.config.command, **dataclasses.asdict(self.config)}

    @property
    def last(self) -> dict[str, float]:
        """The measures of the last epoch."""
        return {name: values[-1] for name, values in self.history.items() if values}

    @property
    def best(self) -> dict[str, float]:
        """The best of each measure over all epochs, of those that can be good or bad."""
        found = {name: best(name, values) for name, values in self.history.items()}
        return {name: value for name, value in found.items() if value is not None}


def best(measure: str, values: list[float]) -> float | None:
    """The highest accuracy or lowest loss; None for another measure, and where there is no number."""
    known = [value for value in values if not np.isnan(value)]
    if not known:
        return None
    return max(known) if "accuracy" in measure else min(known) if "loss" in measure else None


def summaries(folder: str | Path) -> Iterator[Summary]:
    """The runs at or below a folder, in order of their paths; nothing within a run's folder is looked at.

    A folder is one of a run if it has a ``config.yaml``, unless this is of another command, as of ``neko reproduce``.
    """
    for place, folders, names in os.walk(folder):
        folders.sort()
        if CONFIG in names and (found := summary(Path(place))) is not None:
            folders.clear()
            yield found


def summary(folder: Path) -> Summary | None:
    """The summary of a folder with a ``config.yaml``, from that and ``history.csv``; None if it is of no run."""
    there = (folder / HISTORY).exists()  # a run that has not begun has none
    date = datetime.datetime.fromtimestamp((folder / (HISTORY if there else CONFIG)).stat().st_mtime)
    try:
        found = contents(folder / CONFIG)
        command = found.get("command")
        if isinstance(command, str) and command not in COMMANDS:
            return None
        config = config_of(folder / CONFIG, found)
        return Summary(folder, date, config, History.load(folder / HISTORY) if there else History())
    except (ValueError, TypeError, OSError) as error:
        return Summary(folder, date, damage=" ".join(str(error).split()).removeprefix(f"{folder}/"))
