"""Handwritten digits: what ``neko demo`` trains, over seeds."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

import neko
from neko import datasets
from neko.experiments.base import EXPERIMENTS, Experiment, Trial
from neko.experiments.results import Results, Table
from neko.training.pairs import resolve
from neko.updates import Cosine

STEPS = 16
"""Duration of an image in steps of 1 ms."""
RATE = 20.0
"""Target rate of the firing-rate regularizer in Hz."""
NEURONS = 128
BATCH_SIZE = 32
RULES = {"e-prop": "eprop", "BPTT": "bptt"}
LINEAR = "logistic regression on the pixels"
ITERATIONS = 1000
"""Iterations of the logistic regression, after which four digits of its test loss are final."""


@EXPERIMENTS.register("digits")
class Digits(Experiment):
    """Do spiking neurons trained by e-prop read handwritten digits as well as those trained by backpropagation?

    The 1,797 digits of scikit-learn, 64 pixels shown for 16 ms; ALIF-128 with tau_m = 20 ms, a rate term with target
    20 Hz, the loss of the mean output over time, Adam with a cosine from 5e-3, batches of 32, as in ``neko demo``.
    Test accuracy after the last epoch, beside a logistic regression on the pixels. Not in the paper.
    """

    data_sets = ("digits",)
    title = "Digits at 20 Hz"

    def settings(self) -> dict[str, Any]:
        return {"epochs": 1 if self.quick else 20}

    def trials(self) -> list[Trial]:
        return [Trial(rule, seed) for seed in range(self.seeds) for rule in RULES] + [Trial(LINEAR, 0)]

    def measure(self, trial: Trial) -> dict[str, Any]:
        data, epochs = shown(datasets.load("digits").one_hot()), self.settings()["epochs"]
        if trial.row == LINEAR:
            _, found, _ = logistic_regression(data)
            return {"accuracy": found["val_accuracy"][-1]}
        trainer = build_trainer(data, RULES[trial.row], self.backend, epochs, trial.seed)
        trainer.train(data.x_train, data.y_train, epochs=epochs, batch_size=BATCH_SIZE, seed=trial.seed, progress=False)
        found = trainer.rule.model.evaluate(data.x_test, data.y_test)
        return {"accuracy": found["accuracy"], "firing rate": found["firing_rate"]}

    def table(self, results: Results) -> Table:
        columns = [
            results.column("test accuracy, %", "accuracy", ".1f", scale=100.0),
            results.column("firing rate, Hz", "firing rate", ".1f"),
        ]
        return Table("trained by", results.rows, columns)


def shown(data: Any) -> Any:
    """A data set of images as constant inputs over `STEPS` steps, (examples, steps, pixels)."""

    def hold(x: np.ndarray) -> np.ndarray:
        return x.reshape(len(x), 1, -1).repeat(STEPS, axis=1)

    return data._replace(x_train=hold(data.x_train), x_test=hold(data.x_test))


def build_trainer(data: Any, rule: str, backend: Any, epochs: int, seed: int) -> Any:
    """A trainer of ALIF neurons with a firing-rate regularizer; the loss is that of the mean output over time."""
    model = neko.Evaluator(
        # A membrane time constant about as long as the image, so that neurons integrate it.
        neko.ALIF(NEURONS, data.outputs, backend, tau_m=20.0, seed=seed),
        loss="categorical_crossentropy",
        metrics=["accuracy", "firing_rate"],
        target="mean",
        regularizer=neko.FiringRate(RATE),
    )
    updates = epochs * -(-len(data.x_train) // BATCH_SIZE)
    return neko.Trainer(resolve(rule)(model, learning_rate=Cosine(5e-3, steps=updates)))


def logistic_regression(data: Any) -> tuple[str, dict[str, list[float]], float]:
    """Name, test measures and seconds of a logistic regression on the pixels, by Nesterov's gradient descent.

    It minimises the summed cross-entropy plus ½ ‖W‖², as scikit-learn's does by default.
    """
    begin = time.perf_counter()
    images = (data.x_train[:, 0].astype(np.float64), data.x_test[:, 0].astype(np.float64))
    x, x_test = (np.pad(a, ((0, 0), (0, 1)), constant_values=1.0) for a in images)
    penalty = np.ones((x.shape[1], 1))
    penalty[-1] = 0.0  # not on the bias
    # Upper bound of the curvature of the loss: ½ ‖x‖² of the cross-entropy, 1 of the penalty.
    rate = 1.0 / (0.5 * np.linalg.norm(x, 2) ** 2 + 1.0)
    w = ahead = np.zeros((x.shape[1], data.outputs))
    for step in range(ITERATIONS):
        gradient = x.T @ (softmax(x @ ahead) - data.y_train) + penalty * ahead
        w, before = ahead - rate * gradient, w
        ahead = w + step / (step + 3.0) * (w - before)
    seconds = time.perf_counter() - begin
    p, y = softmax(x_test @ w), data.y_test
    measures = {
        "val_accuracy": [float(np.mean(p.argmax(axis=-1) == y.argmax(axis=-1)))],
        "val_loss": [float(-np.log(p[y > 0.0]).mean())],
    }
    return "logistic regression", measures, seconds


def softmax(y: np.ndarray) -> np.ndarray:
    e = np.exp(y - y.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))
