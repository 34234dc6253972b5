"""What an epoch of MNIST costs with a checkpoint at its end, and fed by a DataLoader, against plain arrays.

``python -m benchmarks.feeding [backend …]`` prints ratios of the fastest of several epochs, run in turn.
"""

from __future__ import annotations

import sys
import tempfile
import time

import torch

import neko
from neko import datasets

EXAMPLES, BATCH, ROUNDS = 60000, 128, 3


def trainer_of(backend):
    model = neko.ALIF(128, 10, backend)
    return neko.Trainer(neko.Eprop(neko.Evaluator(model, loss="categorical_crossentropy", metrics=["accuracy"])))


def measure(backend, folder):
    """Seconds of an epoch by way of feeding: the least of `ROUNDS`, after one for compilation."""
    data = datasets.load("mnist").one_hot()
    x, y = data.x_train[:EXAMPLES], data.y_train[:EXAMPLES]
    tensors = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
    loader = torch.utils.data.DataLoader(tensors, batch_size=BATCH, shuffle=True)
    ways = {
        "arrays": {"x": x, "y": y},
        "checkpoint": {"x": x, "y": y},
        "loader": {"x": loader},
    }
    trainers = {way: trainer_of(backend) for way in ways}
    for way, options in ways.items():
        trainers[way].train(**options, progress=False)
    seconds = dict.fromkeys(ways, float("inf"))
    writing = float("inf")
    for number in range(ROUNDS):
        for way, options in ways.items():
            callbacks = [Timed(f"{folder}/{number}")] if way == "checkpoint" else []
            begin = time.perf_counter()
            trainers[way].train(**options, callbacks=callbacks, progress=False)
            seconds[way] = min(seconds[way], time.perf_counter() - begin)
            writing = min([writing, *(callback.seconds for callback in callbacks)])
    return seconds, writing


class Timed(neko.Checkpoints):
    """Checkpoints that know what they cost."""

    seconds = 0.0

    def write(self, loop):
        begin = time.perf_counter()
        path = super().write(loop)
        self.seconds += time.perf_counter() - begin
        return path


def main():
    for backend in sys.argv[1:] or neko.backend.installed():
        with tempfile.TemporaryDirectory() as folder:
            seconds, writing = measure(backend, folder)
        arrays = seconds["arrays"]
        print(
            f"{backend}: {arrays:.1f} s an epoch; a checkpoint an epoch {100 * writing / arrays:.2f} % of it (whole "
            f"epoch {seconds['checkpoint'] / arrays:.3f}); DataLoader {seconds['loader'] / arrays:.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
