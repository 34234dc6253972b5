"""A sweep in a folder: trials that are done are kept, the others run or go on; then table and figure follow."""

from __future__ import annotations

import difflib
import math
from pathlib import Path
from typing import Any

import yaml
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from neko import plots
from neko.arguments import as_path, check_choice, check_integer
from neko.io import files
from neko.io.console import Output
from neko.runs.record import CONFIG
from neko.sweeps.on_ray import Ray
from neko.sweeps.plan import Plan, read_plan
from neko.sweeps.processes import Processes
from neko.sweeps.search import SEARCHES
from neko.sweeps.table import WAITING, Results, Setting, results_of
from neko.sweeps.trial import Outcome, Trial, name_of, outcome_of

PLAN, NUMBERS, TRIALS, FIGURE = "sweep.yaml", "sweep.csv", "trials", "figures/sweep.png"
ENGINES: dict[str, Any] = {"processes": Processes, "ray": Ray}
SHOWN = 4
"""Measures of a trial that are printed."""


class Sweep:
    """A plan with its folder.

    Parameters
    ----------
    plan : Plan or path
        What is run; see `neko.sweeps.read_plan`.
    folder : path
        ``sweep.yaml`` has the plan, each folder in ``trials`` is one run; ``sweep.csv`` and ``figures`` are the result.

    Raises
    ------
    ValueError, OSError
        For a plan that is wrong or cannot be read.
    """

    def __init__(self, plan: Plan | str | Path, folder: str | Path) -> None:
        self.plan = plan if isinstance(plan, Plan) else read_plan(plan)
        self.folder = as_path("out", folder)
        self.search = SEARCHES[self.plan.search](self.plan)
        self.known: list[tuple[dict[str, Any], list[Trial]]] = []
        self.outcomes: dict[str, Outcome] = {}

    def trials(self, values: dict[str, Any]) -> list[Trial]:
        """The trials of a setting, one for each seed."""
        place, config = (self.folder / TRIALS).absolute(), self.plan.config
        return [Trial(values, seed, config(values, seed), place / name_of(values, seed)) for seed in self.plan.seeds]

    def settings(self) -> list[Setting]:
        """All settings that are known so far, each once, with the outcomes of their trials."""
        results: dict[int, float | None] = {}
        while True:
            for values in self.search.settings(results)[len(self.known) :]:
                self.known.append((values, self.trials(values)))
            settings = [Setting(values, trials, [*map(self.outcome, trials)]) for values, trials in self.known]
            ended = {i: self.value(setting) for i, setting in enumerate(settings) if self.ended(setting)}
            if ended.keys() == results.keys():
                return list({str(setting.values): setting for setting in settings}.values())
            results = ended

    def outcome(self, trial: Trial) -> Outcome:
        """How a trial ended; one that failed in an earlier call is waited for again."""
        if trial.name not in self.outcomes:
            found = outcome_of(trial.folder)
            if found is None or found.state != "done":
                return WAITING
            self.outcomes[trial.name] = found
        return self.outcomes[trial.name]

    def ended(self, setting: Setting) -> bool:
        """Whether no trial of a setting is waited for."""
        return WAITING not in setting.outcomes

    def value(self, setting: Setting) -> float | None:
        """What the search is told: the mean over the seeds, or None where a trial has failed."""
        if self.plan.measure is None or len(setting.done) < len(setting.trials):
            return None
        return setting.spread(self.plan.measure).mean

    def go(
        self,
        *,
        workers: int | None = None,
        threads: int = 1,
        engine: str = "processes",
        progress: bool = True,
    ) -> Results:
        """Run all trials that are not done, then write the result.

        Parameters
        ----------
        workers : int, optional
            Trials at a time; by default as many as there are cores, over `threads`.
        threads : int
            Threads of each.
        engine : {'processes', 'ray'}
            Processes of this machine, or tasks of Ray.
        progress : bool
            Show a progress bar, and a line per trial.

        Raises
        ------
        ValueError
            For a folder of another plan, with the differences; for a measure that no trial has.
        ImportError
            If the search or the engine needs a package that is not installed.
        OSError
            For a folder that cannot be written.
        KeyboardInterrupt
            On Ctrl-C; trials that have begun keep a checkpoint.
        """
        check_choice("engine", engine, tuple(ENGINES))
        check_integer("threads", threads)
        if workers is not None:
            check_integer("workers", workers)
        self.prepare()
        self.outcomes = {name: found for name, found in self.outcomes.items() if found.state == "done"}
        with (
            Bar(
                MofNCompleteColumn(),
                BarColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[running]}"),
                console=Output(stderr=True),
                transient=True,
                disable=not progress,
            ) as bar,
            ENGINES[engine](workers, threads) as pool,
        ):
            self.run(pool, bar)
        return self.report()

    def run(self, pool: Any, bar: Bar) -> None:
        """All trials that are not done, as many at a time as the engine has room for."""
        size = len(self.settings()) if self.plan.trials is None else self.plan.trials
        task, begun = bar.add_task("trials", total=size * len(self.plan.seeds), running=""), set[str]()
        while True:
            trials = [trial for setting in self.settings() for trial in setting.trials]
            waiting = [trial for trial in trials if trial.name not in begun | self.outcomes.keys()]
            while waiting and pool.free:
                begun.add(waiting[0].name)
                pool.submit(waiting.pop(0))
            running = ", ".join(trial.name for trial in pool.running)
            bar.update(task, completed=len(self.outcomes), running=running)
            if not pool.running:
                return
            trial, outcome = pool.next()
            self.outcomes[trial.name] = outcome
            if not bar.disable:
                text = told(trial, outcome, self.plan.measure)
                bar.console.print(text, highlight=False, markup=False, soft_wrap=True)
            self.write()
            self.check_measure()

    def check_measure(self) -> None:
        """ValueError if trials are done and none has the measure that tells the best."""
        known = results_of(self.settings(), None, True).measures
        if known and self.plan.measure is not None and self.plan.measure not in known:
            near = difflib.get_close_matches(self.plan.measure, known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"measure {self.plan.measure!r}: expected one of {known!r}{hint}")

    def prepare(self) -> None:
        """Write the plan into the folder; ValueError for a folder of another plan."""
        path = self.folder / PLAN
        if path.exists():
            check_same(read_plan(path), self.plan, self.folder)
        elif (self.folder / CONFIG).exists():
            raise ValueError(f"{self.folder} holds a run: expected another folder for a sweep")
        files.check_inside(self.folder, TRIALS)
        files.prepare(self.folder / TRIALS)
        files.clean(self.folder)
        files.write(path, yaml.safe_dump(self.plan.plain(), sort_keys=False, allow_unicode=True).encode())

    def results(self) -> Results:
        """What was found so far."""
        return results_of(self.settings(), self.plan.measure, self.plan.maximised)

    def write(self) -> Results:
        """Write ``sweep.csv``."""
        found = self.results()
        files.write_table(self.folder / NUMBERS, *found.table())
        return found

    def report(self) -> Results:
        """Write ``sweep.csv`` and the figure."""
        found = self.write()
        spreads = [(setting.values, setting.spread(found.measure or "")) for setting in found.settings]
        known = [(values, spread.mean, spread.deviation) for values, spread in spreads if math.isfinite(spread.mean)]
        if found.measure and known:
            settings, means, deviations = zip(*known, strict=True)
            logarithmic = {name for name, values in self.plan.vary.items() if getattr(values, "scale", "") == "log"}
            figure = plots.sweep(settings, means, deviations, found.measure, logarithmic=logarithmic)
            plots.save(figure, self.folder / FIGURE)
        return found


def check_same(there: Plan, here: Plan, folder: Path) -> None:
    """ValueError, with what differs, unless one plan goes on with the other: with more seeds or trials perhaps."""
    pairs = {name: (flat(there).get(name), flat(here).get(name)) for name in {**flat(there), **flat(here)}}
    differs = [f"{name}={a!r} there, {b!r} here" for name, (a, b) in pairs.items() if a != b]
    if not {*there.seeds} <= {*here.seeds} or (here.search == "tpe" and there.seeds != here.seeds):
        differs.append(f"seeds={[*there.seeds]!r} there, {[*here.seeds]!r} here")
    if (here.trials or 0) < (there.trials or 0):
        differs.append(f"trials={there.trials!r} there, {here.trials!r} here")
    if differs:
        raise ValueError(
            f"{folder} holds another sweep ({'; '.join(differs)}): expected the same file, in which only the number of "
            "trials may grow, and the seeds unless search is tpe; or another folder with --out"
        )


def flat(plan: Plan) -> dict[str, Any]:
    """What two plans of one folder have in common, by name."""
    found = plan.plain()
    for name in ("seeds", "trials", *(() if plan.search == "tpe" else ("maximise", "minimise"))):
        found.pop(name, None)
    options, vary = found.pop("options"), found.pop("vary")
    parts = {f"options.{k}": v for k, v in options.items()} | {f"vary.{k}": v for k, v in vary.items()}
    return found | {"vary": [*vary]} | parts


def told(trial: Trial, outcome: Outcome, measure: str | None) -> str:
    """A trial with its first numbers, or its error, and its warnings."""
    names = sorted(outcome.measures, key=lambda name: (name != measure, not name.startswith("val_")))[:SHOWN]
    numbers = [f"{name} {outcome.measures[name]:.4g}" for name in names]
    line = f"{trial.name}: {'  '.join(numbers) if outcome.error is None else f'failed: {outcome.error}'}"
    return "\n".join([line, *(f"  warning: {text}" for text in outcome.warnings)])
