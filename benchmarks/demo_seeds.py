"""What ``neko demo`` reaches over seeds: ``python -m benchmarks.demo_seeds [BACKEND] [SEEDS]``.

Test accuracy and firing rate on scikit-learn's digits after 20 epochs, mean ± standard deviation over the seeds of the
weights and of the order of examples.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from neko import datasets
from neko.cli import demo

EPOCHS = 20


def main(backend: str = "torch", seeds: int = 5) -> None:
    data = demo.shown(datasets.load("digits").one_hot())
    for title, rule in demo.RULES.items():
        found = []
        for seed in range(seeds):
            begin = time.perf_counter()
            trainer = demo.build_trainer(data, rule, backend, EPOCHS, seed)
            trainer.train(
                data.x_train, data.y_train, epochs=EPOCHS, batch_size=demo.BATCH_SIZE, seed=seed, progress=False
            )
            seconds = time.perf_counter() - begin
            measures = trainer.rule.model.evaluate(data.x_test, data.y_test)
            found.append((100 * measures["accuracy"], measures["firing_rate"], seconds))
        (accuracy, rate, seconds), (spread, of_rate, _) = np.mean(found, axis=0), np.std(found, axis=0, ddof=1)
        each = ", ".join(f"{row[0]:.1f}" for row in found)
        print(
            f"{title}: {accuracy:.1f} ± {spread:.1f} % ({each}), {rate:.1f} ± {of_rate:.1f} Hz, {seconds:.1f} s a run",
            flush=True,
        )
    title, history, _ = demo.logistic_regression(data)
    print(f"{title}: {100 * history['val_accuracy'][-1]:.1f} %")


if __name__ == "__main__":
    main(*sys.argv[1:2], *(int(argument) for argument in sys.argv[2:]))
