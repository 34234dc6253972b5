"""What several processes gain on one machine: ``python -m benchmarks.distributed``.

Every case trains MNIST's shape by e-prop with one global batch. A process by itself, one process with the wrapper of a
distributed run, two and four processes run in turn, each in every round, so that other work on the machine meets all.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import time
from typing import Any

from benchmarks.processes import ROOT, variables

SHAPE = (128, 28, 28, 128, 10)
"""(global batch, time, inputs, hidden, outputs)."""
CASES = {"alone": 0, "one": 1, "two": 2, "four": 4}
"""Number of processes that divide a batch; 0 without the wrapper."""
ROUNDS, STEPS = 5, 150


def measure(rounds: int = ROUNDS, steps: int = STEPS) -> dict[str, Any]:
    """Milliseconds of a step by round and case, those of a message, and ratios of throughput to that of one alone."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in CASES}
    for number in range(rounds):
        names = list(CASES)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            found[name].append(launch(CASES[name], steps))
    ratio = {
        name: statistics.median(a["step"] / b["step"] for a, b in zip(found["alone"], rows, strict=True))
        for name, rows in found.items()
    }
    return {"shape": SHAPE, "steps": steps, "rounds": found, "throughput": ratio}


def launch(processes: int, steps: int) -> dict[str, float]:
    """Milliseconds of a step and of a message, by process 0."""
    address = {"WORLD_SIZE": str(max(processes, 1)), "MASTER_ADDR": "localhost", "MASTER_PORT": str(free_port())}
    command = [sys.executable, "-m", "benchmarks.distributed", str(processes), str(steps)]
    started = [
        subprocess.Popen(
            command,
            env={**os.environ, **variables(1), **address, "RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for rank in range(max(processes, 1))
    ]
    outputs = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        raise RuntimeError(f"{command} failed")
    found: dict[str, float] = json.loads(outputs[0])
    return found


def free_port() -> int:
    """A port at which the processes meet."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port: int = free.getsockname()[1]
        return port


def train(processes: int, steps: int) -> dict[str, float]:
    """What each process does: an epoch that loads and compiles everything, and one that is measured."""
    import numpy as np
    import torch

    import neko

    size, duration, inputs, hidden, outputs = SHAPE
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    x = (rng.random((size * 8, duration, inputs)) < 0.2).astype(np.float32)
    y = np.eye(outputs, dtype=np.float32)[rng.integers(outputs, size=len(x))]
    model = neko.Evaluator(neko.ALIF(hidden, outputs, "torch"), loss="categorical_crossentropy")
    trainer = neko.Trainer(neko.Eprop(model))

    def run(epochs: int) -> float:
        begin = time.perf_counter()
        trainer.train(x, y, epochs=epochs, batch_size=size, progress=False, distributed=processes > 0)
        return time.perf_counter() - begin

    run(2)
    epochs = max(1, steps // 8)
    found = {"step": 1000.0 * run(epochs) / (8 * epochs), "message": 0.0, "bytes": 0.0}
    if processes > 1:
        numbers = torch.zeros(sum(int(np.prod(p.shape)) for p in model.params.values()) + 1)
        begin = time.perf_counter()
        for _ in range(200):
            torch.distributed.all_reduce(numbers)
        found |= {"message": 5.0 * (time.perf_counter() - begin), "bytes": 4.0 * len(numbers)}
    return found


if __name__ == "__main__":
    arguments = [int(argument) for argument in sys.argv[1:]]
    print(json.dumps(train(*arguments) if arguments else measure()))
