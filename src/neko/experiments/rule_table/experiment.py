"""Every gradient rule on every task and neuron."""

from __future__ import annotations

import functools
from typing import Any

from matplotlib.figure import Figure

from neko.experiments.base import EXPERIMENTS, Experiment, Trial
from neko.experiments.results import Results, Table
from neko.experiments.rule_table import by_neuron, claims, drawing
from neko.experiments.rule_table.browsing import browsed
from neko.experiments.rule_table.cells import LINEAR, READOUT, SHUFFLED, Cell, Line, lines, tabled
from neko.experiments.rule_table.contenders import EXACT, NEURONS, Contender, contenders, network, refusal
from neko.experiments.rule_table.frozen import ReadoutOnly
from neko.experiments.rule_table.linear import linear
from neko.experiments.rule_table.measuring import trained
from neko.experiments.rule_table.shuffled import without_relation
from neko.experiments.rule_table.tasks import TASKS, Task

SETTINGS = {"units": 64, "learning rates": [1e-3, 3e-3, 1e-2, 3e-2], "updates": 200, "batch": 32, "comparisons": 4}
QUICK = {"units": 16, "learning rates": [1e-2], "updates": 8, "batch": 8, "comparisons": 2}
QUICK_TASKS, QUICK_NEURONS, QUICK_RULES = (
    ("copy", "pattern"),
    ("ALIF", "RNN"),
    (EXACT, "eprop:symmetric", "sltt:symmetric"),
)


@EXPERIMENTS.register("rules")
class Rules(Experiment):
    """Which learning rule reaches what on which task and neuron, at which cost, and how near is its gradient to BPTT's?

    Every rule of the registry, in each of its modes, trains one recurrent layer of each neuron on each task where it is
    defined, by Adam; backpropagation and immediate derivatives (SLTT) also by RMSprop. Every rule has the same budget:
    the same initial networks, batches, learning rates and number of updates, at rates that fall to zero by half a
    cosine. The learning rate is the one with the lowest loss on validation data, for every seed anew, and only that
    network is tested. Test accuracy, or for curves and series the mean squared error relative to the variance.

    The cosine is that of the gradient of the hidden weights to the exact one, the same network's by BPTT from the same
    batch, as a mean over equidistant updates of the training; *first* and *last* are those at the first and the last of
    them. A step is the processor time of one update (median), memory what computing one gradient adds at its peak to
    the process (a lower bound, since pages are used again). The signal is the root mean square of the learning signals
    of rules that have them, before training, when all rules have the same network. Activity is in spikes per step, or
    the mean magnitude of units that do not spike.

    Controls: *no network* is a ridge regression on the inputs and their averages over 5, 20 and 100 steps; *readout
    only* leaves the hidden weights as drawn; *shuffled targets* is BPTT with targets that tell nothing of their inputs,
    and must stay at chance. A network is flagged if it is silent (under 0.02 spikes per step), saturated (above 0.4),
    collapsed to one answer, or if every learning rate diverged: its cells compare nothing. Cells of rules that are not
    defined for a neuron, or not trained, give the reason.
    """

    title = "Every rule by tasks and neurons"
    default_seeds = 3
    data_sets = ("mnist", "ecg", "fsdd")

    def settings(self) -> dict[str, Any]:
        return QUICK if self.quick else SETTINGS

    @functools.cached_property
    def cells(self) -> dict[str, Cell]:
        """All cells by row, those that are refused too."""
        tasks = [TASKS[name] for name in QUICK_TASKS] if self.quick else list(TASKS.values())
        found = []
        for task in tasks:
            found.append(Cell(task.name, "", LINEAR))
            for neuron in QUICK_NEURONS if self.quick else NEURONS:
                found.append(Cell(task.name, neuron, READOUT, Contender(ReadoutOnly)))
                found.append(Cell(task.name, neuron, SHUFFLED, Contender(EXACT)))
                found += [self.cell(task, neuron, rule) for rule in self.rules()]
        return {cell.row: cell for cell in found}

    def rules(self) -> list[Contender]:
        found = contenders()
        return [rule for rule in found if rule.rule in QUICK_RULES] if self.quick else found

    def cell(self, task: Task, neuron: str, rule: Contender) -> Cell:
        return Cell(task.name, neuron, rule.name, rule, refusal(rule, neuron, task, self.backend))

    def trials(self) -> list[Trial]:
        rows = [row for row, cell in self.cells.items() if cell.refused is None]
        return [Trial(row, seed) for seed in range(self.seeds) for row in rows]

    def measure(self, trial: Trial) -> dict[str, Any]:
        cell, settings = self.cells[trial.row], self.settings()
        task = TASKS[cell.task]
        data = task.data(trial.seed)
        if cell.contender is None:
            return linear(task, data)
        if cell.rule == SHUFFLED:
            data = without_relation(task, data, trial.seed)
        model = network(cell.neuron, task, settings["units"], data.outputs, self.backend, trial.seed)
        return trained(cell.contender, model, task, data, settings, trial.seed)

    def lines(self, results: Results) -> list[Line]:
        """What was measured, and what is refused on the tasks and neurons of the results."""
        return lines(results, self.cells)

    def table(self, results: Results) -> Table:
        return tabled(self.lines(results))

    def shown(self, results: Results) -> str:
        return by_neuron.shown(self.lines(results))

    def figures(self, results: Results) -> dict[str, Figure]:
        return drawing.figures(self.lines(results))

    def pages(self, results: Results) -> dict[str, bytes]:
        return browsed(self.lines(results), f"{len(results.rows)} cells with {self.seeds} seeds, {self.backend}")

    def notes(self, results: Results) -> str:
        return claims.told(self.lines(results), results, len(self.trials()))
