"""What experiments on MNIST share."""

from __future__ import annotations

import functools
from typing import Any

from matplotlib.figure import Figure

import neko
from neko import datasets
from neko.datasets import Dataset
from neko.experiments.base import Experiment
from neko.experiments.results import Column, Interval, Results

TRAIN, TEST = 1000, 500
"""Examples of a quick experiment."""
SHOWN = (3, 6, 10, 20, 30)
"""Epochs in tables."""


class MnistExperiment(Experiment):
    """An experiment on MNIST, with all examples or, if quick, the first `TRAIN` and `TEST` of them."""

    data_sets = ("mnist",)

    def settings(self) -> dict[str, Any]:
        return {"examples": [TRAIN, TEST] if self.quick else [60000, 10000]}

    @functools.cached_property
    def data(self) -> Dataset:
        """Images as 28 rows of 28 pixels, and one-hot labels."""
        return datasets.load("mnist").one_hot().first(*self.settings()["examples"])

    def spiking(self, seed: int, **options: Any) -> Any:
        """The network of Listing 1, with options of its `Evaluator`."""
        network = neko.ALIF(128, self.data.outputs, self.backend, seed=seed)
        return neko.Evaluator(network, loss="categorical_crossentropy", metrics=["accuracy", "firing_rate"], **options)

    def train(self, rule: Any, seed: int) -> dict[str, Any]:
        """Train on the rows of images; test accuracy and firing rate after every epoch, and pulses if there are any."""
        data = self.data
        history = neko.Trainer(rule).train(
            data.x_train,
            data.y_train,
            epochs=self.settings()["epochs"],
            seed=seed,
            validation=(data.x_test, data.y_test),
            progress=False,
        )
        found = {"accuracy": history["val_accuracy"], "firing rate": history["val_firing_rate"]}
        return found | ({"pulses": history["pulses"]} if "pulses" in history else {})

    def by_epoch(self, results: Results, title: str, measure: str, *, scale: float, form: str = ".1f") -> list[Column]:
        """Columns of a measure after the epochs `SHOWN` and the last one."""
        last = self.settings()["epochs"]
        return [
            Column(
                f"{title} after {epoch}",
                [Interval.of(scale * results.values(row, measure)[:, epoch - 1]) for row in results.rows],
                form,
            )
            for epoch in sorted({epoch for epoch in SHOWN if epoch < last} | {last})
        ]

    def figures(self, results: Results) -> dict[str, Figure]:
        """Test accuracy over epochs."""
        figure = Figure(figsize=(6, 3.8), layout="constrained")
        axes = figure.subplots()
        for row in results.rows:
            curve = 100.0 * results.values(row, "accuracy").mean(axis=0)
            axes.plot(range(1, len(curve) + 1), curve, label=row)
        axes.set(xlabel="epoch", ylabel="test accuracy (%), mean of seeds")
        axes.legend(frameon=False, fontsize="small")
        return {"accuracy": figure}
