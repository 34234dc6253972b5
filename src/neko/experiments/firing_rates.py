"""Accuracy against firing rate, for Listing 1 on MNIST."""

from __future__ import annotations

from typing import Any

import neko
from neko.experiments.base import EXPERIMENTS, Trial
from neko.experiments.mnist import MnistExperiment
from neko.experiments.results import Results, Table

ROWS: dict[str, tuple[float, float | None]] = {
    "Adam 1e-3, no rate term (default)": (1e-3, None),
    "Adam 1e-3, to 60 Hz": (1e-3, 60.0),
    "Adam 1e-3, to 30 Hz": (1e-3, 30.0),
    "Adam 1e-3, to 20 Hz": (1e-3, 20.0),
    "Adam 1e-3, to 10 Hz": (1e-3, 10.0),
    "Adam 5e-3, no rate term": (5e-3, None),
    "Adam 5e-3, to 60 Hz": (5e-3, 60.0),
    "Adam 5e-3, to 20 Hz": (5e-3, 20.0),
}


@EXPERIMENTS.register("firing_rates")
class FiringRates(MnistExperiment):
    """What does a low firing rate cost in accuracy?

    Listing 1 on MNIST (ALIF-128, rows of an image as 28 steps, batches of 128) with symmetric e-prop, Adam at two
    rates, and a `FiringRate` term with a target in Hz or none. Test accuracy, and the mean firing rate on the test set,
    after so many epochs. Not in the paper: the default of the library follows from it.
    """

    title = "Accuracy against firing rate"
    default_seeds = 1

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"epochs": 1 if self.quick else 30}

    def trials(self) -> list[Trial]:
        rows = [row for row, (rate, _) in ROWS.items() if rate > 1e-3 or not self.quick]
        return [Trial(row, seed) for seed in range(self.seeds) for row in rows]

    def measure(self, trial: Trial) -> dict[str, Any]:
        learning_rate, target = ROWS[trial.row]
        model = self.spiking(trial.seed, regularizer=None if target is None else neko.FiringRate(target))
        return self.train(neko.Eprop(model, learning_rate=learning_rate), trial.seed)

    def table(self, results: Results) -> Table:
        columns = self.by_epoch(results, "%", "accuracy", scale=100.0)
        return Table("setting", results.rows, columns + self.by_epoch(results, "Hz", "firing rate", scale=1.0))
