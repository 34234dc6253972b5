"""Accuracy against firing rate, Listing 1 on MNIST: ``python -m benchmarks.firing_rates BACKEND EPOCHS ADAM RATE …``.

ALIF-128 and symmetric e-prop as in `benchmarks.listing1`, with Adam at the rate ADAM (1e-3 is the default) and a
`FiringRate` term to each RATE in Hz (``none``: without a term, the default). Prints test accuracy and mean firing rate
after every epoch; needs MNIST (see `neko.datasets.mnist`).
"""

from __future__ import annotations

import sys
import time

from neko import ALIF, Eprop, Evaluator, FiringRate, Trainer, backend, datasets


def main(name: str, epochs: int, learning_rate: float, rates: list[str]) -> None:
    data = datasets.load("mnist").one_hot()
    test = (data.x_test, data.y_test)
    for rate in rates:
        model = Evaluator(
            ALIF(128, 10, backend.get(name)),
            loss="categorical_crossentropy",
            metrics=["accuracy", "firing_rate"],
            regularizer=None if rate == "none" else FiringRate(float(rate)),
        )
        begin = time.perf_counter()
        trainer = Trainer(Eprop(model, learning_rate=learning_rate))
        history = trainer.train(data.x_train, data.y_train, epochs=epochs, validation=test, progress=False)
        seconds = (time.perf_counter() - begin) / epochs
        for epoch in range(epochs):
            accuracy, spikes = (history[f"val_{measure}"][epoch] for measure in ("accuracy", "firing_rate"))
            print(f"to {rate} Hz, epoch {epoch + 1}: {100 * accuracy:.2f} %, {spikes:.1f} Hz", flush=True)
        print(f"to {rate} Hz: {seconds:.1f} s an epoch", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4:])
