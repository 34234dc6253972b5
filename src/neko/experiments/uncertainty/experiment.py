"""Figure 3: the uncertainty of spiking networks on MNIST-1D by every Bayesian method."""

from __future__ import annotations

import functools
from typing import Any

from matplotlib.figure import Figure

from neko import datasets
from neko.datasets import Dataset
from neko.experiments.base import EXPERIMENTS, Experiment, Trial
from neko.experiments.results import Results, Table
from neko.experiments.uncertainty import claims, drawing
from neko.experiments.uncertainty.measuring import measured
from neko.experiments.uncertainty.methods import QUICK, ROWS, Recipe


@EXPERIMENTS.register("figure3")
class Figure3(Experiment):
    """Does a spiking network know which of its predictions are wrong, and by which Bayesian method best?

    MNIST-1D, 4,000 examples to train and 1,000 to test, in both forms of the paper and its code: one step of 40 inputs,
    and 40 steps of one value. A feed-forward layer of LIF neurons with a linear readout of the last step or, of 40
    steps, of the mean output; all methods train or sample all weights. The settings say which prior, power λ of the
    likelihood and temperature T each has: log π = (λ log L + log p) / T, where T = λ = 1 is the Bayesian posterior.

    The uncertainty of an example is the paper's, the mean cross-entropy of the draws' predictions against their mean;
    of one network this is the entropy of its prediction. AUROC is the probability that a wrong example is more
    uncertain than a right one, and the rank test that of Mann & Whitney. *If calibrated* is what a predictor with the
    same confidences would measure on average if they were the probabilities to be right: a difference to it within the
    95 % range of 1,000 examples (0.016 of the calibration error, 0.03 of AUROC) is chance. R-hat and effective sample
    size (ESS) are of predictions and of the negative log likelihood of the test labels, since weights have
    permutations.

    The paper's figure has no numbers: it shows an example, and that wrong predictions are the more uncertain ones.

    References
    ----------
    Z. Zhao et al., "Neko: a library for exploring neuromorphic learning rules", ICONS 2021, section 3.2, figure 3.
    """

    data_sets = ("mnist1d-step", "mnist1d")
    title = "Figure 3: uncertainty on MNIST-1D"
    default_seeds = 3
    packages = ("scipy", "arviz")

    def settings(self) -> dict[str, Any]:
        size = {"hidden": 40, "examples": [300, 200]} if self.quick else {"hidden": 1000, "examples": [4000, 1000]}
        return size | {f"*{row}*": recipe.told() for row, recipe in self.rows.items()}

    @functools.cached_property
    def rows(self) -> dict[str, Recipe]:
        """The recipe of every row."""
        return {row: ROWS[row].quick() for row in QUICK} if self.quick else ROWS

    def trials(self) -> list[Trial]:
        return [
            Trial(row, seed)
            for seed in range(self.seeds)
            for row, recipe in self.rows.items()
            if recipe.seeds is None or seed < recipe.seeds
        ]

    @functools.cache  # noqa: B019 - an experiment lives as long as its process
    def data(self, sequence: bool) -> Dataset:
        """One of the two forms, with one-hot labels."""
        name = "mnist1d" if sequence else "mnist1d-step"
        return datasets.load(name).one_hot().first(*self.settings()["examples"])

    def measure(self, trial: Trial) -> dict[str, Any]:
        recipe = self.rows[trial.row]
        return measured(recipe, self.data(recipe.sequence), self.settings()["hidden"], self.backend, trial.seed)

    def table(self, results: Results) -> Table:
        return drawing.tabled(results)

    def figures(self, results: Results) -> dict[str, Figure]:
        example = self.data(sequence=True)
        return drawing.figures(results, example.x_test[0], int(example.y_test[0].argmax()), self.rows)

    def notes(self, results: Results) -> str:
        return claims.told(results, self.rows)
