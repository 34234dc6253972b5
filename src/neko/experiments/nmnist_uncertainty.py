"""The uncertainty of a spiking network on recordings of an event camera."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import neko
from neko import datasets
from neko.bayes import Posterior
from neko.bayes.ranking import auroc, selective_accuracy
from neko.experiments.base import EXPERIMENTS, Experiment, Trial
from neko.experiments.results import Column, Results, Table
from neko.plots.posterior import draw_uncertainty
from neko.updates import Cosine

DIGITS = (1, 2, 3)
FOLDS = 5
MOVEMENT = 105.0
"""Duration of each of the camera's three movements in ms."""
VARIATIONAL, POINT, PUBLISHED = "mean-field", "one network by Adam", "published, full set"
PAPER = {"accuracy, %": 96.85, "calibration error": 0.0066, "AUROC of classes": 0.994}
MEASURES = {
    "accuracy, %": ("accuracy", ".2f", 100.0),
    "negative log likelihood": ("negative log likelihood", ".3f", 1.0),
    "calibration error": ("calibration error", ".3f", 1.0),
    "if calibrated": ("calibration error if calibrated", ".3f", 1.0),
    "AUROC for errors": ("AUROC", ".3f", 1.0),
    "its standard error": ("AUROC, standard error", ".3f", 1.0),
    "AUROC of classes": ("AUROC of classes", ".4f", 1.0),
}
"""Title of a column: measure, format and scale."""


@EXPERIMENTS.register("nmnist_uncertainty")
class NmnistUncertainty(Experiment):
    """Does a spiking network with a distribution of its weights know which digits of an event camera it misreads?

    The digits 1 to 3 among the 1,100 recordings of the N-MNIST sample: 341 recordings, each of which is tested once, in
    a cross-validation of five folds. A trial is one cross-validation with folds and seeds of its own; its measures are
    those of all 341 predictions together.

    Inputs are log(1 + events) of every square of 2 × 2 pixels and polarity in each of the three movements of the
    camera, 1,734 numbers, divided by their standard deviation in the recordings to train. They are one step of a layer
    of LIF neurons with a readout. 'mean-field' is variational inference by local reparametrisation
    (`neko.MeanField`), with the predictions of draws of real spiking networks; 'one network by Adam' is the same one
    without a distribution.

    The uncertainty of an example is the entropy of its predicted probabilities. The AUROC for errors is the probability
    that a wrong example is more uncertain than a right one; that of classes is the mean over classes of the probability
    that an example of the class has a larger probability of it than another one. The published numbers are those of a
    mean-field Bayesian spiking network on the three digits of the full data set; its abstract does not say of what its
    areas "above 0.994" are, which are compared with those of classes here.

    References
    ----------
    Banteywalu et al., a Bayesian spiking neural network by variational inference with surrogate gradients: abstract.
    """

    data_sets = ("nmnist",)
    title = "Uncertainty on N-MNIST"
    default_seeds = 3
    packages = ("scipy",)

    def settings(self) -> dict[str, Any]:
        found = {"hidden": 100, "epochs": 40, "batch": 32, "learning rate": 0.01, "KL weight": 0.01, "draws": 100}
        return found | ({"hidden": 20, "epochs": 3, "draws": 10} if self.quick else {})

    def trials(self) -> list[Trial]:
        return [Trial(row, seed) for seed in range(self.seeds) for row in (VARIATIONAL, POINT)]

    @functools.cached_property
    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Inputs (recordings, 1, 1734) and classes of all recordings of the three digits."""
        data = datasets.load("nmnist", step=MOVEMENT, steps=3, counts=True)
        x, y = (np.concatenate(parts) for parts in ((data.x_train, data.x_test), (data.y_train, data.y_test)))
        chosen = np.isin(y, DIGITS)
        return np.log1p(x[chosen]).reshape(chosen.sum(), 1, -1), y[chosen] - DIGITS[0]

    def measure(self, trial: Trial) -> dict[str, Any]:
        (x, y), parts = self.data, []
        fold = folds(y, trial.seed)
        for number in range(FOLDS):
            train, test = fold != number, fold == number
            scaled = x / x[train].std()
            parts.append(self.predictions(trial, number, scaled[train], y[train], scaled[test]))
        predictions = np.empty((parts[0].shape[0], *y.shape, len(DIGITS)))
        for number, part in enumerate(parts):
            predictions[:, fold == number] = part
        return described(predictions, y)

    def predictions(self, trial: Trial, fold: int, x: np.ndarray, y: np.ndarray, x_test: np.ndarray) -> np.ndarray:
        """Class probabilities (draws, recordings, classes) of a network that is trained on the other folds."""
        own, seed = self.settings(), FOLDS * trial.seed + fold
        duration = 3 * MOVEMENT  # of the one step
        network = neko.LIF(own["hidden"], len(DIGITS), self.backend, recurrent=False, dt=duration, seed=seed)
        model = neko.Evaluator(network, loss="sparse_categorical_crossentropy")
        updates = own["epochs"] * -(-len(x) // own["batch"])
        method = {
            VARIATIONAL: functools.partial(neko.MeanField, initial_scale=0.02, draws=own["draws"]),
            POINT: neko.PointEstimate,
        }[trial.row]
        rule = method(
            model,
            prior={"layers.0.w_in": x.shape[2] ** -0.5, "readout.w_out": own["hidden"] ** -0.5, "*": 1.0},
            power=1.0 / own["KL weight"],
            learning_rate=Cosine(own["learning rate"], updates),
            x_pred=x_test,
            seed=seed,
        )
        trainer = neko.Trainer(rule)
        trainer.train(x, y, epochs=own["epochs"], batch_size=own["batch"], seed=seed, progress=False)
        return rule.posterior.samples

    def table(self, results: Results) -> Table:
        rows = [*results.rows, PUBLISHED]
        columns = [
            Column(
                title,
                [*(results.interval(row, measure, scale=scale) for row in results.rows), PAPER.get(title)],
                form,
            )
            for title, (measure, form, scale) in MEASURES.items()
        ]
        return Table("predictions of", rows, columns)

    def figures(self, results: Results) -> dict[str, Figure]:
        figure = Figure(figsize=(8, 3.4), layout="constrained")
        refused, certain = figure.subplots(1, 2)
        for row in results.rows:
            values, right = (results.values(row, name).ravel() for name in ("uncertainty", "right"))
            curve = selective_accuracy(values, right > 0.5)
            refused.plot(100.0 * curve.refused, 100.0 * curve.accuracy, label=row)
        values, right = (results.values(VARIATIONAL, name).ravel() for name in ("uncertainty", "right"))
        draw_uncertainty(certain, values, right > 0.5)
        certain.set(xlabel="entropy (nats)")
        refused.set(xlabel="most uncertain examples refused (%)", ylabel="accuracy of the others (%)")
        refused.legend(frameon=False, fontsize="small")
        return {"uncertainty": figure}

    def notes(self, results: Results) -> str:
        measures = ("wrong", "calibration error if calibrated", "AUROC, standard error")
        wrong, chance, error = (results.values(VARIATIONAL, name).mean() for name in measures)
        return (
            f"What the small sample costs: {len(DIGITS)} classes have 341 recordings here, of which 273 train a "
            "network, against some 19,000 of the full set. The trials share the recordings, so that intervals over "
            "seeds are those of folds and initial weights, and not of other recordings: one recording is 0.29 % of the "
            "accuracy. The settings were chosen by a cross-validation of the same recordings in other folds, so that "
            "the numbers are a little too good. A perfectly calibrated predictor would measure a calibration error of "
            f"{chance:.3f} on as many examples. The AUROC for errors is that of {wrong:.1f} wrong recordings, and has "
            f"a standard error of about {error:.3f} (Hanley & McNeil 1982).\n\n"
            "In the figure: the accuracy when the most uncertain examples are refused, and the uncertainty of right "
            f"and wrong examples of '{VARIATIONAL}', all seeds together."
        )


def folds(y: np.ndarray, seed: int) -> np.ndarray:
    """The fold of every example, (examples,): equal shares of every class, at random.

    >>> np.bincount(folds(np.zeros(12, int), 0)).tolist()
    [3, 3, 2, 2, 2]
    """
    rng, found = np.random.default_rng(seed), np.empty(len(y), int)
    for label in np.unique(y):
        members = rng.permutation(np.flatnonzero(y == label))
        found[members] = np.arange(len(members)) % FOLDS
    return found


def described(predictions: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Accuracy and uncertainty of predictions (draws, examples, classes)."""
    unknown = np.zeros((1, len(predictions)))
    found = Posterior({}, unknown, unknown, np.zeros(1), predictions[None])
    uncertainty, right, p = found.entropy(), found.right(labels), found.mean_probabilities
    wrong = int((~right).sum())
    measures = {
        "accuracy": found.accuracy(labels),
        "negative log likelihood": found.negative_log_likelihood(labels),
        "calibration error": found.calibration_error(labels),
        "calibration error if calibrated": found.calibrated_error().mean,
        "AUROC of classes": np.mean([auroc(p[:, k], labels == k) for k in range(p.shape[1])]),
        "wrong": wrong,
        "uncertainty": uncertainty,
        "right": right,
    }
    if 0 < wrong < len(labels):
        measures["AUROC"] = area = found.error_auroc(labels, uncertainty)
        measures["AUROC, standard error"] = standard_error(area, wrong, len(labels) - wrong)
    return measures


def standard_error(area: float, wrong: int, right: int) -> float:
    """The standard error of an area under the curve (Hanley & McNeil 1982, doi:10.1148/radiology.143.1.7063747).

    >>> round(standard_error(0.95, 10, 330), 3)
    0.048
    """
    of_wrong, of_right = area / (2.0 - area), 2.0 * area**2 / (1.0 + area)
    square = area * (1.0 - area) + (wrong - 1) * (of_wrong - area**2) + (right - 1) * (of_right - area**2)
    return math.sqrt(square / (wrong * right))
