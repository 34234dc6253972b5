"""The Manhattan rule on MNIST, plain and within the limits of a material."""

from __future__ import annotations

import importlib.util
from typing import Any

import neko
from neko.experiments.base import EXPERIMENTS, Trial
from neko.experiments.mnist import MnistExperiment
from neko.experiments.results import Results, Table

WIDTHS = (64, 32)
ADAM, PLAIN, MATERIAL = "backpropagation, Adam", "Manhattan, δ = 1e-3", "Manhattan, material, dead zone 1e-4"
AUTHORS = {ADAM: 97.5, PLAIN: 95.0, MATERIAL: 96.4}
"""Test accuracy of the authors' code after 60 epochs, in per cent."""


def by_torch(seed: int) -> Any:
    """The network as a PyTorch module."""
    import torch

    torch.manual_seed(seed)
    layers: list[Any] = []
    width = 784
    for units in WIDTHS:
        layers += [torch.nn.Linear(width, units), torch.nn.ReLU()]
        width = units
    return torch.nn.Sequential(*layers, torch.nn.Linear(width, 10))


def by_keras(seed: int) -> Any:
    """The network as a Keras model."""
    import keras

    keras.utils.set_random_seed(seed)
    hidden = [keras.layers.Dense(units, activation="relu") for units in WIDTHS]
    return keras.Sequential([keras.Input((784,)), *hidden, keras.layers.Dense(10)])


NETWORKS = {"PyTorch": ("torch", by_torch), "Keras": ("keras", by_keras)}
"""Name in rows: the package, and the network."""


@EXPERIMENTS.register("manhattan")
class Manhattan(MnistExperiment):
    """Can weights that move by pulses alone learn MNIST as well as by backpropagation?

    A user's own 784-64-32-10 network of ReLUs, as a PyTorch module and as a Keras model on the backend that
    ``KERAS_BACKEND`` names. The Manhattan rule moves every weight by one step against the sign of its gradient. The
    plain rule has a constant step, neither dead zone nor accumulation. The paper's material holds a weight within ±0.5
    in two devices of 200 levels; a gradient below 1e-4 makes no pulse. Test accuracy after the last epoch, beside that
    of the authors' own code after 60 epochs.

    References
    ----------
    Z. Zhao et al., "Neko: a library for exploring neuromorphic learning rules", ICONS 2021, section 3.3.
    """

    title = "The Manhattan rule on MNIST"
    default_seeds = 3
    packages = ("torch", "tensorflow", "keras")

    def settings(self) -> dict[str, Any]:
        own = {"epochs": 2, "batch size": 50} if self.quick else {"epochs": 20, "batch size": 500}
        return super().settings() | own

    def trials(self) -> list[Trial]:
        installed = [name for name, (package, _) in NETWORKS.items() if importlib.util.find_spec(package)]
        rows = [f"{name}: {rule}" for name in installed for rule in AUTHORS]
        chosen = [row for row in rows if "Keras" not in row or PLAIN in row] if self.quick else rows
        return [Trial(row, seed) for seed in range(self.seeds) for row in chosen]

    def measure(self, trial: Trial) -> dict[str, Any]:
        data, settings = self.data, self.settings()
        name, rule = trial.row.split(": ")
        x, x_test = (images.reshape(-1, 784) for images in (data.x_train, data.x_test))
        _, build = NETWORKS[name]
        model = neko.Evaluator(build(trial.seed), loss="categorical_crossentropy", metrics=["accuracy"])
        trainer = neko.Trainer(learning_rule(rule, model, trial.seed))
        history = trainer.train(
            x,
            data.y_train,
            epochs=settings["epochs"],
            batch_size=settings["batch size"],
            seed=trial.seed,
            validation=(x_test, data.y_test),
            progress=False,
        )
        return {"accuracy": history["val_accuracy"], "last accuracy": history["val_accuracy"][-1]}

    def table(self, results: Results) -> Table:
        authors = {row: AUTHORS[row.split(": ")[1]] for row in results.rows}
        columns = [
            results.column("test accuracy, %", "last accuracy", ".2f", scale=100.0),
            results.beside("authors' code, %", authors, ".1f"),
        ]
        return Table("network and rule", results.rows, columns)

    def notes(self, results: Results) -> str:
        reached = {row: 100.0 * results.values(row, "last accuracy").mean() for row in results.rows}
        rows = [row for row in reached if ADAM not in row]
        below = [f"{row} ({reached[row]:.2f} %)" for row in rows if reached[row] < 96.0]
        verdict = f"Below the 96 % aimed at: {', '.join(below)}." if below else "Each row reaches the 96 % aimed at."
        return f"{verdict} Neither the plain rule nor the material needs a decaying step."


def learning_rule(name: str, model: Any, seed: int) -> Any:
    """The learning rule of a row."""
    if name == ADAM:
        return neko.BPTT(model)
    if name == PLAIN:
        return neko.ManhattanRule(model, delta=1e-3)
    return neko.ManhattanMaterialRule(model, w_max=0.5, dead_zone=1e-4, seed=seed)
