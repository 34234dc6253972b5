"""An experiment in a folder: trials that are there are kept, the others run, then table, figures and report follow."""

from __future__ import annotations

import contextlib
import fnmatch
import json
import re
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from neko import plots
from neko.arguments import as_path
from neko.experiments import report
from neko.experiments.base import EXPERIMENTS, Experiment, Trial
from neko.experiments.results import Results, Table
from neko.io import files
from neko.io.console import Output
from neko.io.plain import read_json
from neko.runs import record
from neko.runs.record import CONFIG

TRIALS, NUMBERS, TABLE, FIGURES, REPORT = "trials", "numbers.csv", "table.csv", "figures", "report.md"
SHOWN = 4
"""Numbers of a trial that are printed."""
LIMIT = 2**26
"""Bytes of the numbers of a trial: 64 MiB."""


class Reproduction:
    """An experiment with its folder.

    Parameters
    ----------
    experiment : str or class
        A name of `neko.experiments.EXPERIMENTS`, ``file.py:Class``, or a class.
    folder : path, optional
        ``runs/NAME``, or ``runs/NAME-quick``, by default. A file in ``trials`` is one finished trial; ``numbers.csv``,
        ``table.csv``, ``figures``, pages and ``report.md`` are written when all are finished.
    seeds, quick, backend
        As for `neko.experiments.Experiment`.
    only : sequence of str
        Patterns such as ``'evidence, *'``: only trials whose row fits one of them are run and reported. Those of other
        patterns may be added to the folder later, also by another process at the same time.

    Attributes
    ----------
    experiment, folder : Experiment, Path
        The experiment with its settings, and where it is.
    command : str
        The command line that makes this folder, or goes on with it.

    Raises
    ------
    ValueError
        For an unknown name or backend, or a pattern that no row fits.
    """

    def __init__(
        self,
        experiment: str | type[Experiment],
        folder: str | Path | None = None,
        *,
        seeds: int | None = None,
        quick: bool = False,
        backend: str | None = None,
        only: Sequence[str] = (),
    ) -> None:
        self.name = name = experiment if isinstance(experiment, str) else experiment.__name__
        self.experiment = EXPERIMENTS.resolve(experiment)(seeds=seeds, quick=quick, backend=backend)
        self.only = tuple(only)
        self.stem = re.sub(r"[^\w.]+", "-", Path(name).name)
        default = Path("runs") / (f"{self.stem}-quick" if quick else self.stem)
        self.folder = default if folder is None else as_path("out", folder)
        words = ["neko", "reproduce", name, *(["--quick"] if quick else [])]
        for option, value in (("--seeds", seeds), ("--backend", backend), ("--out", folder)):
            words += [] if value is None else [option, str(value)]
        self.command = shlex.join([*words, *(word for pattern in only for word in ("--only", pattern))])

    def trials(self) -> list[Trial]:
        """The trials that are run and reported, in order."""
        trials = self.experiment.trials()
        if not self.only:
            return trials
        rows = dict.fromkeys(trial.row for trial in trials)
        for pattern in self.only:
            if not fnmatch.filter(rows, pattern):
                raise ValueError(f"only={pattern!r}: expected a pattern that fits one of {list(rows)!r}")
        return [trial for trial in trials if any(fnmatch.fnmatchcase(trial.row, pattern) for pattern in self.only)]

    def options(self) -> dict[str, Any]:
        """What all trials of the folder have in common, as plain values."""
        experiment = self.experiment
        common = {"experiment": self.name, "quick": experiment.quick, "backend": experiment.backend}
        return plain(common | experiment.settings())

    def go(self, *, progress: bool = True) -> Table:
        """Run the trials that the folder lacks, then write the report.

        Raises
        ------
        ValueError
            For a folder of another experiment or other settings, with the differences.
        OSError
            For a folder that cannot be written, or data that cannot be found.
        KeyboardInterrupt
            On Ctrl-C; finished trials are kept.
        """
        self.prepare()
        with Bar(
            MofNCompleteColumn(),
            BarColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[row]}"),
            console=Output(stderr=True),
            transient=True,
            disable=not progress,
        ) as bar:
            trials, missing = self.trials(), self.missing()
            task = bar.add_task("trials", total=len(trials), completed=len(trials) - len(missing), row="")
            for trial in missing:
                bar.update(task, row=title(trial))
                measures = self.run(trial)
                bar.console.print(told(trial, measures), highlight=False, markup=False, soft_wrap=True)
                bar.advance(task)
        return self.report()

    def prepare(self) -> None:
        """Write the settings into a new folder; ValueError for a folder of other ones."""
        path = self.folder / CONFIG
        new = not path.exists()
        if not new:
            self.check(record.contents(path)["options"], self.options())
            record.warn_of_versions(self.folder, self.experiment.backend)
        files.prepare(self.folder / TRIALS)
        for folder in (self.folder, self.folder / TRIALS):
            files.clean(folder)
        if new:
            content = {"command": "reproduce", "options": self.options(), "versions": self.versions()}
            files.write(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True).encode())

    def check(self, there: dict[str, Any], here: dict[str, Any]) -> None:
        """ValueError, with what differs, unless the settings are equal."""
        others = [
            f"{name}={there.get(name)!r} there, {here.get(name)!r} here"
            for name in {**there, **here}
            if there.get(name) != here.get(name)
        ]
        if others:
            raise ValueError(
                f"{self.folder} holds another experiment ({'; '.join(others)}): expected the same settings, "
                "or another folder with --out"
            )

    def path(self, trial: Trial) -> Path:
        return self.folder / TRIALS / f"{trial.key}.json"

    def missing(self) -> list[Trial]:
        """The trials that are not in the folder, in order; ValueError for two trials of one name."""
        trials = self.trials()
        keys = [trial.key for trial in trials]
        double = [key for key in keys if keys.count(key) > 1]
        if double:
            raise ValueError(f"trials {double[0]!r}: expected rows, options or seeds that differ")
        return [trial for trial in trials if not self.path(trial).exists()]

    def run(self, trial: Trial) -> dict[str, Any]:
        """Measure a trial and write it."""
        begin = time.perf_counter()
        measures = {
            name: np.asarray(value, np.float64).tolist() for name, value in self.experiment.measure(trial).items()
        }
        measures["seconds"] = time.perf_counter() - begin
        content = {**plain(trial._asdict()), "measures": measures}
        files.write(self.path(trial), json.dumps(content, indent=1).encode())
        return measures

    def results(self) -> Results:
        """The measures of all trials; FileNotFoundError if one is missing."""
        found = []
        for trial in self.trials():
            content = read_json(self.path(trial), LIMIT)
            parts = [content.get(part) for part in ("options", "measures")] if isinstance(content, dict) else [None]
            if not all(isinstance(part, dict) for part in parts):
                raise ValueError(f"{self.path(trial)} holds no trial: delete it, and that is done again")
            self.check(content["options"], plain(trial.options))
            found.append((trial, content["measures"]))
        return Results(found)

    def report(self) -> Table:
        """Write ``numbers.csv``, ``table.csv``, figures, pages and ``report.md`` from the finished trials."""
        results, experiment = self.results(), self.experiment
        files.write_table(self.folder / NUMBERS, report.COLUMNS, report.numbers(results))
        table = experiment.table(results)
        records = table.records()
        files.write_table(self.folder / TABLE, list(records[0]), records)
        # Named by the experiment too, so that reports can lie side by side.
        figures = {f"{FIGURES}/{self.stem}-{name}.png": figure for name, figure in experiment.figures(results).items()}
        for path, figure in figures.items():
            plots.save(figure, self.folder / path)
        pages = {f"{self.stem}-{name}.html": page for name, page in experiment.pages(results).items()}
        for name, page in pages.items():
            files.write(self.folder / name, page)
        text = report.written(experiment, results, [*figures, *pages], self.command, self.versions())
        files.write(self.folder / REPORT, text.encode())
        return table

    def versions(self) -> dict[str, str]:
        """Versions of what the numbers depend on."""
        found = record.versions(self.experiment.backend)
        for package in self.experiment.packages:
            with contextlib.suppress(KeyError):  # not installed: the experiment says what to do where it needs it
                found[package] = record.version(package)
        return found


def plain(values: dict[str, Any]) -> dict[str, Any]:
    """Values as a file gives them back: tuples as lists."""
    found: dict[str, Any] = json.loads(json.dumps(values))
    return found


def title(trial: Trial) -> str:
    """Row, options and seed in one line."""
    return ", ".join([trial.row, *(f"{name} {value}" for name, value in trial.options.items()), f"seed {trial.seed}"])


def told(trial: Trial, measures: dict[str, Any]) -> str:
    """A trial with its first numbers in one line."""
    numbers = [f"{name} {value:.4g}" for name, value in measures.items() if not isinstance(value, list)]
    return f"{title(trial)}: {'  '.join(numbers[:SHOWN])}"
