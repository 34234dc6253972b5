"""Chains of several samplers on a spiking network, from the prior."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from neko import datasets
from neko.bayes.gibbs import HMC, PCN, Block
from neko.experiments.base import EXPERIMENTS, Experiment, Trial
from neko.experiments.results import Results, Table
from neko.experiments.uncertainty.measuring import measured
from neko.experiments.uncertainty.methods import GIBBS, Recipe

SMALL, LARGE = (32, 500), (1000, 4000)
"""Neurons and examples."""


def gibbs(units: int, epochs: int, **options: Any) -> Recipe:
    """Block updates of four chains from the prior, with a prior variance of the outputs of about 5."""
    prior = {"layers.*": 40**-0.5, "readout.w_out": (10.0 / units) ** 0.5, "*": 3.0}
    return replace(GIBBS, units=units, epochs=epochs, options={**GIBBS.options, "prior": prior, **options})


def other(method: str, epochs: int, **options: Any) -> Recipe:
    """Another sampler of the same density from the same starts, on the small network."""
    made = gibbs(SMALL[0], epochs, warmup=epochs // 2, thinning=5, **options)
    return replace(made, method=method)


WHOLE = [Block("layers.*", PCN()), Block("readout.*", HMC())]
ROWS = {
    "32 neurons, block Gibbs": (SMALL, gibbs(SMALL[0], 10_000, warmup=1500, thinning=5)),
    "32 neurons, pCN of the whole layer": (SMALL, gibbs(SMALL[0], 10_000, warmup=1500, thinning=5, blocks=WHOLE)),
    "32 neurons, MALA": (SMALL, other("langevin", 10_000, step_size=1e-4)),
    "1,000 neurons, block Gibbs": (LARGE, gibbs(LARGE[0], 240, warmup=50)),
}


@EXPERIMENTS.register("mixing")
class Mixing(Experiment):
    """Which sampler's chains agree on a spiking network?

    Four chains from the prior, of a feed-forward layer of LIF neurons on MNIST-1D as one step of 40 inputs, at power
    and temperature 1. The prior variance of an input weight is 1/40, of a readout weight 10 / neurons, of a bias 9.
    Block updates move the weights onto one neuron at a time; the control moves those of the whole layer by the same
    kernel, and MALA moves all weights.

    R-hat and the effective sample size are of the probability of the predicted class of each of 1,000 test examples
    (medians), and of the likelihood of the test labels. A trend is one of the log density. An epoch is a sweep, or a
    transition, of every chain; the first part of them is warm-up, of whose draws none is kept.

    References
    ----------
    A. Vehtari et al., "Rank-normalization, folding, and localization: an improved R̂", doi:10.1214/20-BA1221.
    """

    data_sets = ("mnist1d-step",)
    title = "Which chains agree"
    default_seeds = 1
    packages = ("scipy", "arviz")

    def settings(self) -> dict[str, Any]:
        return {row: recipe.told() for row, (_, recipe) in self.rows().items()}

    def rows(self) -> dict[str, tuple[tuple[int, int], Recipe]]:
        """Size and recipe of every row."""
        if not self.quick:
            return ROWS
        return {row: (SMALL, recipe.quick()) for row, (size, recipe) in ROWS.items() if size == SMALL}

    def trials(self) -> list[Trial]:
        return [Trial(row, seed) for seed in range(self.seeds) for row in self.rows()]

    def measure(self, trial: Trial) -> dict[str, Any]:
        (units, examples), recipe = self.rows()[trial.row]
        data = datasets.load("mnist1d-step").one_hot()
        data = data._replace(x_train=data.x_train[:examples], y_train=data.y_train[:examples])
        return measured(recipe, data, units, self.backend, trial.seed)

    def table(self, results: Results) -> Table:
        columns = [
            results.column("R-hat of predictions", "R-hat of predictions"),
            results.column("of these up to 1.05", "predictions of R-hat up to 1.05", ".2f"),
            results.column("R-hat of the likelihood", "R-hat of the likelihood"),
            results.column("ESS of predictions", "ESS of predictions", ".0f"),
            results.column("ESS of the likelihood", "ESS of the likelihood", ".0f"),
            results.column("p of no trend", "trend p", ".2g"),
            results.column("acceptance", "acceptance", ".2f"),
            results.column("processor s", "processor seconds", ".0f"),
        ]
        return Table("sampler", results.rows, columns)
