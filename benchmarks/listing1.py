"""Listing 1 on MNIST: ``python -m benchmarks.listing1 BACKEND symmetric|random|adaptive|bptt [EPOCHS]``.

ALIF-128, Adam at 1e-3, batches of 128, every default of the library; needs MNIST (see `neko.datasets.mnist`).
"""

from __future__ import annotations

import sys
import time

from neko import ALIF, BPTT, Eprop, Evaluator, Trainer, backend, datasets


def main(name: str, rule: str, epochs: int) -> None:
    """Train and print a line per epoch."""
    data = datasets.load("mnist").one_hot()
    rsnn = ALIF(128, 10, backend.get(name), task_type="classification")
    model = Evaluator(rsnn, loss="categorical_crossentropy", metrics=["accuracy", "firing_rate"])
    trainer = Trainer(BPTT(model) if rule == "bptt" else Eprop(model, mode=rule))
    begin = time.perf_counter()
    history = trainer.train(
        data.x_train, data.y_train, epochs=epochs, validation=(data.x_test, data.y_test), progress=True
    )
    seconds = time.perf_counter() - begin
    for epoch, accuracy in enumerate(history["val_accuracy"], start=1):
        print(f"{name} {rule} epoch {epoch}: test accuracy {100 * accuracy:.2f} %")
    print(f"{name} {rule}: {seconds / epochs:.1f} s per epoch, its test included")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 30)
