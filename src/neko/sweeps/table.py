"""What a sweep found: a row for each trial, and mean and deviation over the seeds for each setting."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Any

from neko.sweeps.trial import Outcome, Trial

USUAL = ("val_accuracy", "val_loss", "accuracy", "loss")
"""Measures that tell the best setting where none is named; the first that there is."""
WAITING = Outcome("waiting")


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation over seeds; the deviation of one seed is NaN."""

    mean: float
    deviation: float
    count: int

    def __str__(self) -> str:
        """Two digits of the deviation, and as many of the mean as stand above them."""
        if not (0.0 < self.deviation < math.inf):
            return f"{self.mean:.4g}" + (" ± 0" if self.deviation == 0.0 else "")
        places = max(0, 1 - math.floor(math.log10(self.deviation)))
        if places > 6 or self.deviation >= 1e6:
            return f"{self.mean:.4g} ± {self.deviation:.2g}"
        return f"{self.mean:.{places}f} ± {self.deviation:.{places}f}"


def spread(values: list[float]) -> Spread:
    """The spread of numbers; NaN for none."""
    mean = statistics.fmean(values) if values else math.nan
    # statistics.stdev counts exactly and refuses infinity
    varied = len(values) > 1 and all(map(math.isfinite, values))
    return Spread(mean, statistics.stdev(values) if varied else math.nan, len(values))


@dataclass(frozen=True)
class Setting:
    """Values of the varied options with their trials, and the outcomes of these."""

    values: dict[str, Any]
    trials: list[Trial]
    outcomes: list[Outcome]

    @property
    def done(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.state == "done"]

    def spread(self, measure: str) -> Spread:
        """A measure over the seeds that are done and have it."""
        return spread([outcome.measures[measure] for outcome in self.done if measure in outcome.measures])


@dataclass(frozen=True)
class Results:
    """The settings of a sweep, in the order in which they were tried.

    `measure` tells the best one, of which there is more or, if not `maximised`, less.
    """

    settings: list[Setting]
    measure: str | None
    maximised: bool

    @property
    def varied(self) -> list[str]:
        """Names of the varied options."""
        return list(self.settings[0].values) if self.settings else []

    @property
    def measures(self) -> list[str]:
        """Names of all measures, that which tells the best first, then those of the test set."""
        found = [name for setting in self.settings for outcome in setting.done for name in outcome.measures]
        first = [self.measure] if self.measure in found else []
        return list(dict.fromkeys([*first, *(name for name in found if name.startswith("val_")), *found]))

    @property
    def failed(self) -> list[tuple[Trial, str]]:
        """The trials that failed, with their errors."""
        return [
            (trial, outcome.error or "")
            for setting in self.settings
            for trial, outcome in zip(setting.trials, setting.outcomes, strict=True)
            if outcome.state == "failed"
        ]

    def ranked(self) -> list[Setting]:
        """The settings, the best first and those without a number last."""

        def merit(setting: Setting) -> tuple[bool, float]:
            mean = math.nan if self.measure is None else setting.spread(self.measure).mean
            return math.isnan(mean), 0.0 if math.isnan(mean) else -mean if self.maximised else mean

        return sorted(self.settings, key=merit)

    def table(self) -> tuple[list[str], list[dict[str, Any]]]:
        """Columns and rows of ``sweep.csv``.

        A measure with the name of a varied option, as ``firing_rate`` can be, is called ``firing_rate (measure)``.
        """
        columns = {name: f"{name} (measure)" if name in self.varied else name for name in self.measures}
        rows = [
            {"trial": trial.name, **setting.values, "seed": trial.seed, "state": outcome.state}
            | {columns[name]: value for name, value in outcome.measures.items()}
            | ({} if outcome.state == "waiting" else {"seconds": outcome.seconds, "error": outcome.error})
            for setting in self.settings
            for trial, outcome in zip(setting.trials, setting.outcomes, strict=True)
        ]
        return ["trial", *self.varied, "seed", "state", *columns.values(), "seconds", "error"], rows


def results_of(settings: list[Setting], measure: str | None, maximised: bool) -> Results:
    """The results; without a `measure` the first usual one that the trials have is maximised, or minimised if it is a
    loss."""
    if measure is None:
        known = Results(settings, None, True).measures
        measure = next((name for name in USUAL if name in known), None)
        maximised = measure is None or "accuracy" in measure
    return Results(settings, measure, maximised)
