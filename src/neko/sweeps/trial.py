"""A trial: one run of a sweep, in a folder of its own, which says how it ended."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import time
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from neko.io import files, plain
from neko.runs.config import Config
from neko.runs.record import CONFIG

RESULT, LOCK = "trial.json", ".lock"
LONGEST = 120
"""Characters of a name, which a file system must take."""


@dataclass(frozen=True)
class Trial:
    """The run of one setting of the varied options with one seed."""

    values: dict[str, Any]
    seed: int
    config: Config
    folder: Path

    @property
    def name(self) -> str:
        """What its folder is called."""
        return self.folder.name


@dataclass(frozen=True)
class Outcome:
    """How a trial ended: ``'done'`` with its measures, or ``'failed'`` with an error.

    `seconds` are those of the process that ended it, without those of processes before that were killed.
    """

    state: str
    measures: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    error: str | None = None
    warnings: list[str] = field(default_factory=list)


def name_of(values: dict[str, Any], seed: int) -> str:
    """A name for a folder, different for different values.

    >>> name_of({"rule": "eprop", "learning_rate": 0.01}, 3)
    'rule=eprop,learning_rate=0.01,seed=3'
    >>> name_of({"rule": "eprop:random"}, 0)
    'rule=eprop-random,seed=0,4f38'
    """
    text = ",".join(f"{name}={value}" for name, value in {**values, "seed": seed}.items())
    told = re.sub(r"[^\w.=,+-]+", "-", text)
    if told == text and len(text) <= LONGEST:
        return text
    return f"{told[:LONGEST]},{hashlib.sha256(text.encode()).hexdigest()[:4]}"


def outcome_of(folder: Path) -> Outcome | None:
    """How the trial of a folder ended; None if it did not. ValueError for a file that is damaged."""
    path = folder / RESULT
    try:
        found = Outcome(**plain.read_json(path))
        if not (found.state in ("done", "failed") and isinstance(found.measures, dict)):
            raise ValueError(f"state {found.state!r}: expected 'done' or 'failed', and measures")
        for name, value in (*found.measures.items(), ("seconds", found.seconds)):
            if type(value) not in (int, float):
                raise ValueError(f"{name}={value!r}: expected a number")
        return found
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        told = str(error).removeprefix(f"{path} ")
        raise ValueError(f"{path} is damaged ({told}): delete it, and the trial goes on") from error


def record(folder: Path, outcome: Outcome) -> Outcome:
    """Write how a trial ended."""
    files.write(folder / RESULT, json.dumps(asdict(outcome), indent=1).encode())
    return outcome


def perform(trial: Trial) -> Outcome:
    """Run a trial to its end, from its last checkpoint where it has one, unless it is done already.

    An error ends the trial, not the sweep. The lock is against a second process that works in the same folder, such as
    a worker of a sweep that was killed a moment ago.
    """
    from neko import runs

    files.check_inside(trial.folder.parent, trial.name)
    files.prepare(trial.folder)
    with FileLock(trial.folder / LOCK):
        found = outcome_of(trial.folder)
        if found is not None and found.state == "done":
            return found
        begin = time.perf_counter()
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("default")
                run = runs.of(trial.config, trial.folder)
                run.go(resume=(trial.folder / CONFIG).exists(), changed=(), progress=False)
                measures = run.measures()
        except Exception as error:
            return failed(trial, error)
        said = list(dict.fromkeys(str(warning.message) for warning in caught))
        return record(trial.folder, Outcome("done", measures, time.perf_counter() - begin, warnings=said))


def failed(trial: Trial, error: Exception) -> Outcome:
    """The outcome of a trial that raised, written if that is possible."""
    outcome = Outcome("failed", error=f"{type(error).__name__}: {error}")
    with contextlib.suppress(OSError):  # the disk may be full
        record(trial.folder, outcome)
    return outcome
