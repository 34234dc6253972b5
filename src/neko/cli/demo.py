"""``neko demo``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from neko.cli import common
from neko.cli.common import console
from neko.cli.options import build_option
from neko.cli.tables import measured

STEPS = 16
"""Duration of an image in steps of 1 ms."""
RATE = 20.0
"""Target rate of the firing-rate regularizer in Hz."""
NEURONS = 128
BATCH_SIZE = 32
RULES = {"e-prop": "eprop", "BPTT": "bptt"}
ITERATIONS = 1000
"""Iterations of the logistic regression, after which four digits of its test loss are final."""
EXAMPLES = 6
"""Number of test digits shown to the network in the figure."""


def demo(
    backend: Annotated[str | None, build_option("backend")] = None,
    processor: Annotated[str | None, build_option("processor")] = None,
    epochs: Annotated[int, build_option("epochs")] = 20,
    seed: Annotated[int, build_option("seed")] = 0,
    figure: Annotated[Path, typer.Option(help="Write the figure here.")] = Path("runs/demo.png"),
) -> None:
    """Train spiking neurons with e-prop on real digits, beside backpropagation through time; about half a minute."""
    from neko import backend as backends
    from neko import datasets, plots
    from neko.io import files

    plots.format_of(figure)
    if figure.is_dir():
        raise IsADirectoryError(f"{figure} is a folder: expected a file to write")
    files.prepare(figure.parent)
    made = backends.get(backend or backends.default(), device=processor)
    data = shown(datasets.load("digits").one_hot())
    histories, rows, trained = {}, [], None
    for title, rule in RULES.items():
        console.print(f"[bold]{title}[/bold]: ALIF({NEURONS}) on {len(data.x_train)} training digits, {made.name}")
        trainer = build_trainer(data, rule, made, epochs, seed)
        begin = time.perf_counter()
        test = (data.x_test, data.y_test)
        trainer.train(data.x_train, data.y_train, epochs=epochs, batch_size=BATCH_SIZE, seed=seed, validation=test)
        histories[title] = trainer.history
        rows.append((title, trainer.history, time.perf_counter() - begin))
        trained = trained or trainer.rule.model.model
    title, history, _ = logistic = logistic_regression(data)
    measured("Test set of scikit-learn's digits", [*rows, logistic])
    stream = data.x_test[:EXAMPLES].reshape(EXAMPLES * STEPS, -1)
    names = {float(i * STEPS): f"digit {digit}" for i, digit in enumerate(data.y_test[:EXAMPLES].argmax(axis=-1))}
    levels = {title: history["val_accuracy"][-1]}
    drawn = plots.overview(histories, trained, stream, "val_accuracy", levels=levels, onsets=names)
    common.say(f"Figure: {plots.save(drawn, figure)}")


def shown(data: Any) -> Any:
    """A data set of images as constant inputs over `STEPS` steps, (examples, steps, pixels)."""

    def hold(x: np.ndarray) -> np.ndarray:
        return x.reshape(len(x), 1, -1).repeat(STEPS, axis=1)

    return data._replace(x_train=hold(data.x_train), x_test=hold(data.x_test))


def build_trainer(data: Any, rule: str, backend: Any, epochs: int, seed: int) -> Any:
    """A trainer of ALIF neurons with a firing-rate regularizer; the loss is that of the mean output over time."""
    from neko import ALIF, Evaluator, FiringRate, Trainer
    from neko.training.pairs import resolve
    from neko.updates import Cosine

    model = Evaluator(
        # A membrane time constant about as long as the image, so that neurons integrate it.
        ALIF(NEURONS, data.outputs, backend, tau_m=20.0, seed=seed),
        loss="categorical_crossentropy",
        metrics=["accuracy", "firing_rate"],
        target="mean",
        regularizer=FiringRate(RATE),
    )
    updates = epochs * -(-len(data.x_train) // BATCH_SIZE)
    return Trainer(resolve(rule)(model, learning_rate=Cosine(5e-3, steps=updates)))


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
