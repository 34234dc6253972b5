"""The Manhattan rule on MNIST: a user's own 784-64-32-10 network, plain and held by a material, beside Adam.

``python -m benchmarks.manhattan_mnist torch|keras [SEEDS] [EPOCHS]`` prints the test accuracy after the last epoch,
mean ± standard deviation over seeds. Keras takes the backend that KERAS_BACKEND names.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np

import neko
from neko import datasets

WIDTHS = (64, 32)
BATCH = 500


def by_torch(seed: int) -> Any:
    """The network as a torch module."""
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


RULES = {
    "Adam": lambda model, seed: neko.BPTT(model),
    "Manhattan, delta 1e-3": lambda model, seed: neko.ManhattanRule(model, delta=1e-3),
    "Manhattan, material, dead zone 1e-4": lambda model, seed: neko.ManhattanMaterialRule(
        model, w_max=0.5, dead_zone=1e-4, seed=seed
    ),
}


def main(framework: str, seeds: int = 3, epochs: int = 40) -> None:
    data = datasets.load("mnist").one_hot()
    x_train, x_test = (x.reshape(-1, 784) for x in (data.x_train, data.x_test))
    for name, rule in RULES.items():
        found, begin = [], time.perf_counter()
        for seed in range(seeds):
            network = {"torch": by_torch, "keras": by_keras}[framework](seed)
            model = neko.Evaluator(network, loss="categorical_crossentropy", metrics=["accuracy"])
            trainer = neko.Trainer(rule(model, seed))
            trainer.train(x_train, data.y_train, epochs=epochs, batch_size=BATCH, seed=seed, progress=False)
            found.append(100 * model.evaluate(x_test, data.y_test)["accuracy"])
        seconds = (time.perf_counter() - begin) / seeds
        spread = np.std(found, ddof=1) if seeds > 1 else np.nan
        each = ", ".join(f"{accuracy:.2f}" for accuracy in found)
        print(f"{framework} | {name} | {np.mean(found):.2f} ± {spread:.2f} % | {each} | {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *(int(argument) for argument in sys.argv[2:]))
