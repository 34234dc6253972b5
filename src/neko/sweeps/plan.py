"""The file of a sweep: which options are fixed, which vary, how values are chosen, and what is best."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neko.arguments import check_choice, check_integer, check_known
from neko.io import plain
from neko.runs.config import COMMANDS, Config
from neko.sweeps.space import Range, Varied, varied

KEYS = ("command", "options", "vary", "seeds", "search", "trials", "search_seed", "ahead", "maximise", "minimise")
SEARCHES = ("grid", "random", "tpe")
APART = {"seed": "seeds: 0:10 beside options", "report": "none, since every trial would write the same file"}
"""Options that a sweep does not take, and what is expected in their place."""
MOST = 100_000
"""Trials of a sweep."""


@dataclass(frozen=True)
class Plan:
    """A sweep: every setting of the varied options is run with every seed.

    Attributes
    ----------
    kind : type of Config
        The configuration of the command that is repeated.
    options : dict
        Fixed options.
    vary : dict of Varied
        By option; empty for a sweep over seeds alone.
    seeds : tuple of int
        Seeds of the runs of each setting.
    search : {'grid', 'random', 'tpe'}
        All combinations; draws at random; Optuna's tree-structured Parzen estimator.
    trials : int or None
        Number of settings that 'random' and 'tpe' try.
    search_seed : int
        Seed from which they draw.
    ahead : int
        For 'tpe': a setting is proposed when all but the last ``ahead - 1`` before it are done, so at most so many
        are tried at a time. The proposals then do not depend on the number of workers, or on what ends first.
    measure : str or None
        What tells the best setting; the mean over the seeds counts.
    maximised : bool
        Whether more of the measure is better.
    """

    kind: type[Config]
    options: dict[str, Any]
    vary: dict[str, Varied]
    seeds: tuple[int, ...] = (0,)
    search: str = "grid"
    trials: int | None = None
    search_seed: int = 0
    ahead: int = 4
    measure: str | None = None
    maximised: bool = True

    def __post_init__(self) -> None:
        check_choice("search", self.search, SEARCHES)
        if (self.search == "grid") != (self.trials is None):
            expected = "none, a grid has all combinations" if self.search == "grid" else "a number of settings to try"
            raise ValueError(f"search={self.search!r} with trials={self.trials!r}: expected {expected}")
        if self.trials is not None:
            check_integer("trials", self.trials)
        check_integer("search_seed", self.search_seed, least=0)
        check_integer("ahead", self.ahead)
        if self.search != "grid" and not self.vary:
            raise ValueError(f"search={self.search!r} without vary: expected options to vary")
        if self.search == "tpe" and self.measure is None:
            raise ValueError("search='tpe' without a measure: expected maximise or minimise, as maximise: val_accuracy")
        for name, values in self.vary.items():
            if self.search == "grid" and isinstance(values, Range) and values.steps is None and not values.whole:
                raise ValueError(f"vary.{name}={values.plain()!r}: a grid expects also steps, such as steps: 3")
        settings = self.trials or math.prod(values.count for values in self.vary.values())
        if settings * len(self.seeds) > MOST:
            raise ValueError(f"{settings:,} settings with {len(self.seeds):,} seeds: expected at most {MOST:,} trials")

    def config(self, values: dict[str, Any], seed: int) -> Config:
        """The configuration of a trial."""
        return self.kind.of({**self.options, **values, "seed": seed})

    def plain(self) -> dict[str, Any]:
        """The content of a file that gives this plan."""
        found: dict[str, Any] = {
            "command": self.kind.command,
            "options": self.options,
            "vary": {name: values.plain() for name, values in self.vary.items()},
            "seeds": [*self.seeds],
            "search": self.search,
        }
        if self.search != "grid":
            found |= {"trials": self.trials, "search_seed": self.search_seed}
        if self.search == "tpe":
            found["ahead"] = self.ahead
        if self.measure is not None:
            found["maximise" if self.maximised else "minimise"] = self.measure
        return found

    def changed(self, seeds: str | None, trials: int | None) -> Plan:
        """The plan with other seeds or another number of settings."""
        found = self if seeds is None else dataclasses.replace(self, seeds=seeds_of(seeds))
        return found if trials is None else dataclasses.replace(found, trials=trials)


def read_plan(path: str | Path) -> Plan:
    """The plan of a file.

    Raises
    ------
    ValueError
        For a file that is no YAML, unknown keys and options, with the nearest names, and values that are impossible.
    OSError
        If there is no such file.
    """
    try:
        found = plain.read_yaml(Path(path))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"no file {path}: expected the YAML of a sweep") from error
    try:
        return plan_of(found)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def plan_of(content: Any) -> Plan:
    """The plan of a mapping, as in a file."""
    if not isinstance(content, dict):
        raise ValueError(f"{content!r}: expected keys with values, for example 'vary:'")
    check_known("key", content, KEYS)
    command = content.get("command", "train")
    check_choice("command", command, tuple(COMMANDS))
    kind = COMMANDS[command]
    options, vary = (mapping(name, content.get(name)) for name in ("options", "vary"))
    for name in (*options, *vary):
        if name in APART:
            raise ValueError(f"{name}={(options | vary)[name]!r}: expected {APART[name]}")
    if both := sorted(options.keys() & vary.keys()):
        raise ValueError(f"{', '.join(both)}: fixed and varied: expected one of both")
    check_known("option", vary, [field.name for field in dataclasses.fields(kind)])
    base = kind.of(options)
    if "backend" not in vary:  # by default what is installed, which may be another one tomorrow
        options["backend"] = base.backend
    options = {name: getattr(base, name) for name in options}
    aims = [word for word in ("maximise", "minimise") if word in content]
    if len(aims) > 1:
        raise ValueError("maximise and minimise: expected one of both")
    measure = content[aims[0]] if aims else None
    if aims and not isinstance(measure, str):
        raise ValueError(f"{aims[0]}={measure!r}: expected a measure of the history, such as val_accuracy")
    given = {name: content[name] for name in ("search", "trials", "search_seed", "ahead") if name in content}
    return Plan(
        kind,
        options,
        {name: varied(kind, options, name, values) for name, values in vary.items()},
        seeds_of(content.get("seeds", [0])),
        measure=measure,
        maximised=aims != ["minimise"],
        **given,
    )


def mapping(name: str, value: Any) -> dict[str, Any]:
    """A section of the file, empty where it is not given."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"{name}={value!r}: expected names with values")
    return dict(value)


def seeds_of(given: Any) -> tuple[int, ...]:
    """Seeds of a list, or of a text as ``0:10`` (from 0 to 9) or ``0,3,5``.

    >>> seeds_of("0:4"), seeds_of("7,3"), seeds_of([5])
    ((0, 1, 2, 3), (7, 3), (5,))
    """
    if isinstance(given, str) and (ends := re.fullmatch(r"\s*(\d+)\s*:\s*(\d+)\s*", given)):
        found: Sequence[Any] = range(int(ends[1]), min(int(ends[2]), int(ends[1]) + MOST + 1))
    elif isinstance(given, str) and re.fullmatch(r"\s*\d+(\s*,\s*\d+)*\s*", given):
        found = [int(part) for part in given.split(",")]
    elif isinstance(given, list):
        found = given
    else:  # YAML takes 5:10 for a number of minutes
        raise ValueError(f"seeds={given!r}: expected '0:10' in quotes for 0 to 9, '0,3,5', or a list")
    seeds = tuple(check_integer("seeds", seed, least=0) for seed in found)
    if not seeds or len({*seeds}) < len(seeds):
        raise ValueError(f"seeds={given!r}: expected one seed at least, and each once")
    return seeds
