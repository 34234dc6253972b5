"""The cells of the table of rules, and what was measured in each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from neko.experiments.results import Column, Interval, Results, Table
from neko.experiments.rule_table.contenders import ADAM, EXACT, Contender
from neko.experiments.rule_table.tasks import TASKS, Task

LINEAR, SHUFFLED, READOUT = "no network", f"{EXACT}, shuffled targets", "readout only"
CONTROLS = (LINEAR, SHUFFLED, READOUT)
LOWEST = -0.2
"""Gain as which all below it counts in means: errors that grow without bound would hide all others."""
FLAGS = ("silent", "saturated", "collapsed", "diverged")


class Cell(NamedTuple):
    """A cell of the table: a rule, or a control, on a task and a neuron; `refused` is why it is empty."""

    task: str
    neuron: str
    rule: str
    contender: Contender | None = None
    refused: str | None = None

    @property
    def row(self) -> str:
        return ", ".join(part for part in (self.task, self.neuron, self.rule) if part)

    @property
    def control(self) -> bool:
        return self.rule in CONTROLS

    @property
    def by_adam(self) -> bool:
        """Whether it is a rule, not a control, with the optimizer that all rules have."""
        return not self.control and self.contender is not None and self.contender.optimizer == ADAM

    @property
    def by_error(self) -> bool:
        """Whether its rule follows the loss; learning signals of others are rewards or one."""
        return self.contender is not None and self.contender.kind.has_objective


class Line(NamedTuple):
    """A cell with its measures over seeds: numbers (seeds,) by name, of the seeds that have the measure."""

    cell: Cell
    values: Mapping[str, np.ndarray]

    @property
    def task(self) -> Task:
        return TASKS[self.cell.task]

    @property
    def judged(self) -> str:
        """The measure of the test that its task has."""
        return "accuracy" if self.task.classes else "error"

    @property
    def score(self) -> np.ndarray:
        """Test accuracy, or error relative to the variance, by seed."""
        return self.values.get(self.judged, np.empty(0))

    @property
    def gain(self) -> np.ndarray:
        """How much better than guessing: 0 at chance, or for the mean, and 1 without any error."""
        chance = self.task.chance
        return (self.score - chance) / (1.0 - chance) if self.task.classes else 1.0 - self.score

    def interval(self, measure: str) -> Interval | None:
        found = self.values.get(measure, np.empty(0))
        return Interval.of(found) if len(found) else None

    def mean(self, measure: str) -> float | None:
        found = self.interval(measure)
        return None if found is None else found.mean

    @property
    def flags(self) -> str:
        """The flags of its networks, with the number of seeds where not all have them."""
        found = []
        for flag in FLAGS:
            seeds = self.values.get(flag, np.empty(0))
            count, every = int(np.sum(seeds)), len(self.values["seconds"])
            found += [flag if count == every else f"{flag} in {count} of {every}"] if count else []
        return ", ".join(found)


def gain(lines: Sequence[Line]) -> float:
    """The mean gain over the lines that have a score, a gain below `LOWEST` as that."""
    return float(np.mean([max(float(line.gain.mean()), LOWEST) for line in lines]))


def mean(lines: Sequence[Line], measure: str) -> float | None:
    """The mean over the lines that have the measure, such as those of a rule on all tasks; None if none has."""
    found = [value for line in lines if (value := line.mean(measure)) is not None]
    return float(np.mean(found)) if found else None


def lines(results: Results, cells: Mapping[str, Cell]) -> list[Line]:
    """A line for each row of the results, and for each refused cell on their tasks and neurons, in the cells' order."""
    there = set(results.rows)
    pairs = {cells[row][:2] for row in there}
    names = {name for _, measures in results for name in measures}
    found = []
    for row, cell in cells.items():
        if row in there:
            measured = {name: results.values(row, name) for name in names}
            found.append(Line(cell, {name: x for name, x in measured.items() if len(x)}))
        elif cell.refused is not None and cell[:2] in pairs:
            found.append(Line(cell, {}))
    return found


def tabled(found: Sequence[Line]) -> Table:
    """The table, a row for each line."""

    def column(title: str, measure: str, form: str) -> Column:
        return Column(title, [line.interval(measure) for line in found], form)

    def means(title: str, measure: str, form: str) -> Column:
        return Column(title, [line.mean(measure) for line in found], form)

    columns = [
        Column("task", [line.cell.task for line in found]),
        Column("neuron", [line.cell.neuron or None for line in found]),
        column("accuracy", "accuracy", ".3f"),
        column("error", "error", ".3f"),
        column("cosine", "cosine", ".3f"),
        means("first", "first cosine", ".2f"),
        means("last", "last cosine", ".2f"),
        means("ms a step", "milliseconds", ".1f"),
        means("MiB", "MiB", ".1f"),
        means("signal", "signal", ".1e"),
        means("activity", "activity", ".2f"),
        means("learning rate", "learning rate", ".3g"),
        Column("flags", [line.flags if line.values else None for line in found]),
        Column("why not", [line.cell.refused for line in found]),
        Column("locality", [line.cell.contender.locality if line.cell.contender else None for line in found]),
    ]
    return Table("rule", [line.cell.rule for line in found], columns)
