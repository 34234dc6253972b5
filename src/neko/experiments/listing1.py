"""Listing 1 on MNIST."""

from __future__ import annotations

from typing import Any

from neko.experiments.base import EXPERIMENTS, Trial
from neko.experiments.mnist import MnistExperiment
from neko.experiments.results import Results, Table
from neko.training.pairs import resolve

RULES = ("eprop:symmetric", "eprop:adaptive", "eprop:random", "bptt")
AUTHORS = "86.6 to 87.7 % after 3 epochs of symmetric e-prop, 91.3 % after 10"


@EXPERIMENTS.register("listing1")
class Listing1(MnistExperiment):
    """What does Listing 1 of the paper reach on MNIST, with e-prop's three kinds of feedback and with BPTT?

    ALIF-128, rows of an image as 28 steps, Adam at 1e-3, batches of 128, every default of the library. Test accuracy in
    per cent after so many epochs.

    References
    ----------
    Z. Zhao et al., "Neko: a library for exploring neuromorphic learning rules", ICONS 2021, listing 1.
    """

    title = "Listing 1 on MNIST"
    default_seeds = 3

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"epochs": 1 if self.quick else 30}

    def trials(self) -> list[Trial]:
        return [Trial(rule, seed) for seed in range(self.seeds) for rule in RULES]

    def measure(self, trial: Trial) -> dict[str, Any]:
        return self.train(resolve(trial.row)(self.spiking(trial.seed)), trial.seed)

    def table(self, results: Results) -> Table:
        columns = self.by_epoch(results, "%", "accuracy", scale=100.0)
        return Table("rule", results.rows, [*columns, *self.by_epoch(results, "Hz", "firing rate", scale=1.0)[-1:]])

    def notes(self, results: Results) -> str:
        return f"The paper has no number for its Listing 1. Its authors' code reaches, at this setting, {AUTHORS}."
