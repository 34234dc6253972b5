"""What an epoch of MNIST costs with a checkpoint at its end, and fed by a DataLoader, against plain arrays.

``python -m benchmarks.feeding [backend …]`` prints medians over rounds in which every way has an epoch. Ratios are
taken within a round, since an epoch is as fast as the machine's other work lets it be.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from statistics import median

import torch

import neko
from neko import datasets

EXAMPLES, BATCH, ROUNDS = 60000, 128, 8


def trainer_of(backend):
    model = neko.ALIF(128, 10, backend)
    return neko.Trainer(neko.Eprop(neko.Evaluator(model, loss="categorical_crossentropy", metrics=["accuracy"])))


def measure(backend, count=ROUNDS):
    """Median seconds of an epoch, % of it that a checkpoint takes, and the other ways of feeding by arrays."""
    with tempfile.TemporaryDirectory() as folder:
        rounds, writing = epochs(backend, folder, count)
    arrays = median(row["arrays"] for row in rounds)
    ratios = {way: median(row[way] / row["arrays"] for row in rounds) for way in ("checkpoint", "loader")}
    return {"epoch": arrays, "checkpoint %": 100 * median(writing) / arrays, **ratios}


def epochs(backend, folder, count):
    """Seconds of an epoch by way of feeding, a row a round, after one for compilation; and of a checkpoint."""
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
    rounds, writing = [], []
    for number in range(count):
        seconds = {}
        for way, options in random.sample(sorted(ways.items()), len(ways)):
            callbacks = [Timed(f"{folder}/{number}")] if way == "checkpoint" else []
            begin = time.perf_counter()
            trainers[way].train(**options, callbacks=callbacks, progress=False)
            seconds[way] = time.perf_counter() - begin
            writing += [callback.seconds for callback in callbacks]
        rounds.append(seconds)
    return rounds, writing


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
        row = measure(backend)
        print(
            f"{backend}: {row['epoch']:.1f} s an epoch; a checkpoint an epoch {row['checkpoint %']:.2f} % of it "
            f"(whole epoch {row['checkpoint']:.3f}); DataLoader {row['loader']:.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
