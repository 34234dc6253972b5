"""Figure 3: the uncertainty of a spiking network on MNIST-1D."""

from __future__ import annotations

import importlib.util
import tempfile
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from neko import runs
from neko.bayes import Posterior
from neko.bayes.ranking import selective_accuracy
from neko.experiments.base import EXPERIMENTS, Experiment, Trial
from neko.experiments.results import Column, Results, Table
from neko.plots.posterior import draw_uncertainty

OPTIONS = {"hidden": 1000, "pretrain": 40, "epochs": 1500, "warmup": 1200, "thinning": 5}
QUICK = {"hidden": 50, "pretrain": 4, "epochs": 16, "warmup": 8, "thinning": 2}
"""Options of ``neko sample``."""
ROW = "single step, feed-forward"
ONE, TWO, POSTERIOR = "one network by Adam", "mean of the two networks by Adam", "posterior by Langevin from the two"
MEASURES = {
    "accuracy, %": ("accuracy", ".1f", 100.0),
    "negative log likelihood": ("negative log likelihood", ".3f", 1.0),
    "calibration error": ("calibration error", ".3f", 1.0),
    "uncertainty if right, nats": ("uncertainty, right", ".2f", 1.0),
    "if wrong, nats": ("uncertainty, wrong", ".2f", 1.0),
    "AUROC for errors": ("AUROC", ".3f", 1.0),
}
"""Title of a column: measure, format and scale."""


@EXPERIMENTS.register("figure3")
class Figure3(Experiment):
    """Does the posterior of a spiking network know which of its predictions are wrong?

    MNIST-1D as one step of 40 inputs, the form that the authors use: 4,000 examples to train, 1,000 to test. A
    feed-forward layer of LIF neurons; Metropolis-adjusted Langevin chains over all of its weights with e-prop as their
    drift. A trial is ``neko sample`` with the options of the settings and its defaults otherwise: two chains, each
    started from weights that Adam found. These two networks alone, and the mean of their predictions, are baselines.

    The uncertainty of an example is the paper's, the mean cross-entropy of the draws' predictions against their mean;
    of one network this is the entropy of its prediction. AUROC is the probability that a wrong example is more
    uncertain than a right one. The paper's figure has no numbers: it shows an example, and that wrong predictions are
    the more uncertain ones.

    References
    ----------
    Z. Zhao et al., "Neko: a library for exploring neuromorphic learning rules", ICONS 2021, section 3.2, figure 3.
    """

    data_sets = ("mnist1d-step",)
    title = "Figure 3: uncertainty on MNIST-1D"
    default_seeds = 3
    packages = ("scipy", "arviz")

    def settings(self) -> dict[str, Any]:
        return QUICK if self.quick else OPTIONS

    def trials(self) -> list[Trial]:
        return [Trial(ROW, seed) for seed in range(self.seeds)]

    def measure(self, trial: Trial) -> dict[str, Any]:
        config = runs.SampleConfig.of({"backend": self.backend, "seed": trial.seed, **self.settings()})
        with tempfile.TemporaryDirectory() as folder:
            run = runs.of(config, folder)
            run.go(resume=False, changed=(), progress=False)
            networks = np.stack([start.predict(run.data.x_test) for start in run.starts])
        sampler: Any = run.trainer.rule
        found, labels = sampler.posterior, run.data.y_test.argmax(axis=-1)
        measures = {
            **described(ONE, of_networks(networks[:1]), labels),
            **described(TWO, of_networks(networks), labels),
            **described(POSTERIOR, found, labels),
            "acceptance": np.mean(found.acceptance),
            "step size": np.mean(found.step_size),
            "log density": sampler.chains[0].logdensity,
        }
        if importlib.util.find_spec("arviz") and not self.quick:
            rhat = found.rhat()
            del rhat["predictions"]
            measures["R-hat of log density"] = np.nanmax(rhat.pop("logdensity"))
            measures["R-hat of weights"] = max(np.nanmax(values) for values in rhat.values())
        return measures

    def table(self, results: Results) -> Table:
        rows = [ONE, TWO, POSTERIOR]
        columns = [
            Column(title, [results.interval(ROW, f"{row}: {measure}", scale=scale) for row in rows], form)
            for title, (measure, form, scale) in MEASURES.items()
        ]
        return Table("predictions of", rows, columns)

    def figures(self, results: Results) -> dict[str, Figure]:
        figure = Figure(figsize=(12, 3.4), layout="constrained")
        uncertainty, refused, chains = figure.subplots(1, 3)
        for row in (ONE, TWO, POSTERIOR):
            values, right = pooled(results, row)
            curve = selective_accuracy(values, right)
            refused.plot(100.0 * curve.refused, 100.0 * curve.accuracy, label=row)
        draw_uncertainty(uncertainty, *pooled(results, POSTERIOR))
        refused.set(xlabel="most uncertain examples refused (%)", ylabel="accuracy of the others (%)", xlim=(0.0, 90.0))
        for seed, trace in enumerate(results.values(ROW, "log density")):
            chains.plot(range(1, len(trace) + 1), trace, linewidth=1.0, label=f"seed {seed}")
        chains.axvspan(0, self.settings()["warmup"], color="lightgray", alpha=0.5, linewidth=0, label="warm-up")
        chains.set(xlabel="epoch", ylabel="log density (nats)", title="one chain a seed")
        for axes in (refused, chains):
            axes.legend(frameon=False, fontsize="small")
        return {"uncertainty": figure}

    def notes(self, results: Results) -> str:
        p = float(results.values(ROW, f"{POSTERIOR}: rank test p").max())
        rhat = [results.interval(ROW, f"R-hat of {what}") for what in ("weights", "log density")]
        mixing = (
            "" if None in rhat else f"; the largest R-hat is {rhat[0]:.1f} of a weight, {rhat[1]:.1f} of the density"
        )
        return (
            f"Wrong predictions are the more uncertain ones, as in the paper's figure: the rank test has p ≤ {p:.0e} "
            f"in every trial. Acceptance after the warm-up is {results.interval(ROW, 'acceptance'):.2f} at a step of "
            f"{results.interval(ROW, 'step size'):.1e}{mixing}. An R-hat far above 1 says that the two chains have "
            "not mixed: their draws are from the neighbourhoods of the points at which Adam stopped and not from the "
            "whole posterior, whose density is discontinuous wherever a spike appears.\n\n"
            f"Relative to one network the negative log likelihood changes by {gain(results, POSTERIOR):+.3f} with the "
            f"posterior and by {gain(results, TWO):+.3f} with the mean of the two networks that its chains start from: "
            "the difference is what the draws around these two add.\n\n"
            "In the figure: the uncertainty of right and wrong test examples of all seeds under the posterior; the "
            "accuracy when the most uncertain examples are refused; the log density."
        )


def of_networks(predictions: np.ndarray) -> Posterior:
    """Networks (networks, examples, classes), each taken for one draw."""
    size = (len(predictions), 1)
    return Posterior({}, np.zeros(size), np.ones(size), np.ones(len(predictions)), predictions[:, None])


def described(row: str, found: Posterior, labels: np.ndarray) -> dict[str, Any]:
    """Accuracy and uncertainty of predictions."""
    values, right = found.mean_cross_entropy(), found.mean_prediction.argmax(axis=-1) == labels
    measures = {
        "accuracy": found.accuracy(labels),
        "negative log likelihood": found.negative_log_likelihood(labels),
        "calibration error": found.calibration_error(labels),
        "uncertainty, right": values[right].mean(),
        "uncertainty, wrong": values[~right].mean(),
        "AUROC": found.error_auroc(labels),
        "rank test p": found.error_rank_test(labels),
        "uncertainty": values,
        "right": right,
    }
    return {f"{row}: {name}": value for name, value in measures.items()}


def pooled(results: Results, row: str) -> tuple[np.ndarray, np.ndarray]:
    """Uncertainty of the test examples of all trials, and whether they are predicted right."""
    values, right = (results.values(ROW, f"{row}: {name}").ravel() for name in ("uncertainty", "right"))
    return values, right > 0.5


def gain(results: Results, row: str) -> float:
    """Mean difference of the negative log likelihood to that of one network."""
    found, one = (results.values(ROW, f"{name}: negative log likelihood") for name in (row, ONE))
    return float(np.mean(found - one))
