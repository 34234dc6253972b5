"""The Manhattan rule on MNIST, plain and within the limits of a material."""

from __future__ import annotations

import importlib.util
from typing import Any

import neko
from neko.devices import ConstantStep
from neko.experiments.base import EXPERIMENTS, Trial
from neko.experiments.mnist import MnistExperiment
from neko.experiments.results import Results, Table
from neko.updates import schedules

WIDTHS = (64, 32)
ADAM, PLAIN = "backpropagation, Adam", "Manhattan, plain"
MATERIAL, SUMMED = "Manhattan, material", "material, accumulated"
RULES = {ADAM: (100, 20), PLAIN: (1000, 20), MATERIAL: (1000, 40), SUMMED: (100, 20)}
"""Rules by name, with the size of a batch and the number of epochs."""
QUICK = 50, 2
AUTHORS = {ADAM: 97.5, PLAIN: 95.0, MATERIAL: 96.4}
"""Test accuracy of the authors' code after 60 epochs, in per cent."""
AIM = 97.0


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
    plain rule has a step of its own, which falls from 6e-3 to 0 by a cosine, and neither dead zone nor accumulation.
    The paper's material has a constant step: two devices of 200 levels hold a weight, within ±0.3 so that steps are
    small, and a gradient below 6e-4 makes no pulse. Accumulated, in mixed precision, the changes of Adam wait
    digitally until they are as large as a pulse, within ±0.5. Adam's rate falls from 2e-3 to 0 by a cosine, here and
    in the first row. Large batches make signs less noisy. Test accuracy after the last epoch, beside that of the
    authors' own code after 60 epochs.

    References
    ----------
    Z. Zhao et al., "Neko: a library for exploring neuromorphic learning rules", ICONS 2021, section 3.3.
    """

    title = "The Manhattan rule on MNIST"
    default_seeds = 3
    packages = ("torch", "tensorflow", "keras")

    def settings(self) -> dict[str, Any]:
        sizes = {"batch size, epochs": QUICK}
        if not self.quick:
            sizes = {f"batch size, epochs of {rule!r}": own for rule, own in RULES.items()}
        return super().settings() | sizes

    def trials(self) -> list[Trial]:
        installed = [name for name, (package, _) in NETWORKS.items() if importlib.util.find_spec(package)]
        rows = [f"{name}: {rule}" for name in installed for rule in RULES]
        chosen = [row for row in rows if PLAIN in row or row == f"PyTorch: {MATERIAL}"] if self.quick else rows
        return [Trial(row, seed) for seed in range(self.seeds) for row in chosen]

    def measure(self, trial: Trial) -> dict[str, Any]:
        data = self.data
        name, rule = trial.row.split(": ")
        x, x_test = (images.reshape(-1, 784) for images in (data.x_train, data.x_test))
        _, build = NETWORKS[name]
        model = neko.Evaluator(build(trial.seed), loss="categorical_crossentropy", metrics=["accuracy"])
        batch, epochs = QUICK if self.quick else RULES[rule]
        steps = epochs * len(x) // batch
        history = neko.Trainer(learning_rule(rule, model, steps, trial.seed)).train(
            x,
            data.y_train,
            epochs=epochs,
            batch_size=batch,
            seed=trial.seed,
            validation=(x_test, data.y_test),
            progress=False,
        )
        return {"accuracy": history["val_accuracy"], "last accuracy": history["val_accuracy"][-1]}

    def table(self, results: Results) -> Table:
        authors = {row: AUTHORS[rule] for row in results.rows if (rule := row.split(": ")[1]) in AUTHORS}
        columns = [
            results.column("test accuracy, %", "last accuracy", ".2f", scale=100.0),
            results.beside("authors' code, %", authors, ".1f"),
        ]
        return Table("network and rule", results.rows, columns)

    def notes(self, results: Results) -> str:
        reached = {row: 100.0 * results.values(row, "last accuracy").mean() for row in results.rows}
        below = [f"{row} ({found:.2f} %)" for row, found in reached.items() if found < AIM]
        return (
            f"Below the {AIM:g} % aimed at: {', '.join(below)}."
            if below
            else f"Each row reaches the {AIM:g} % aimed at."
        )


def learning_rule(name: str, model: Any, steps: int, seed: int) -> Any:
    """The learning rule of a row."""
    falling = schedules.Cosine(2e-3, steps)
    if name == ADAM:
        return neko.BPTT(model, learning_rate=falling)
    if name == PLAIN:
        return neko.ManhattanRule(model, delta=schedules.Cosine(6e-3, steps))
    if name == MATERIAL:
        return neko.ManhattanMaterialRule(model, w_max=0.3, dead_zone=6e-4, seed=seed)
    material = ConstantStep()
    return neko.BPTT(
        model,
        optimizer=neko.MixedPrecision(device=material, w_max=0.5, optimizer="adam", learning_rate=falling, seed=seed),
    )
