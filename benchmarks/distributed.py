"""What several processes gain on one machine: ``python -m benchmarks.distributed``.

Every case trains MNIST's shape by e-prop: a process by itself, one with the wrapper of a distributed run, two and four
processes, with the same batch in all or with a larger one, and two that know nothing of each other, which is the most
that the machine gives. They run in turn, each in every round, so that other work on the machine meets all.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import time
from typing import Any, NamedTuple

from benchmarks.processes import ROOT, variables

SHAPE = (28, 28, 128, 10)
"""(time, inputs, hidden, outputs)."""


class Case(NamedTuple):
    """Number of processes, the whole batch that they divide, or the own batch of each where they are apart."""

    processes: int
    batch: int
    apart: bool = False


CASES = {
    "alone": Case(1, 128, apart=True),
    "one": Case(1, 128),
    "two": Case(2, 128),
    "four": Case(4, 128),
    "alone, 256": Case(1, 256, apart=True),
    "two, 256 each": Case(2, 512),
    "two apart, 256 each": Case(2, 256, apart=True),
    "alone, 512": Case(1, 512, apart=True),
    "two, 512 each": Case(2, 1024),
    "two apart, 512 each": Case(2, 512, apart=True),
}
BESIDE = {
    **dict.fromkeys(("one", "two", "four"), "alone"),
    **{f"{how}, {size} each": f"alone, {size}" for size in (256, 512) for how in ("two", "two apart")},
}
"""The case by which the throughput of another is divided."""
ROUNDS, STEPS = 3, 120


def measure(rounds: int = ROUNDS, steps: int = STEPS) -> dict[str, Any]:
    """Examples a second by round and case, milliseconds of a message, and ratios of throughput to that of one alone."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in CASES}
    for number in range(rounds):
        names = list(CASES)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            found[name].append(launch(CASES[name], steps))
    ratio = {
        name: statistics.median(b["examples"] / a["examples"] for a, b in zip(found[of], found[name], strict=True))
        for name, of in BESIDE.items()
    }
    return {"shape": SHAPE, "steps": steps, "rounds": found, "throughput": ratio}


def launch(case: Case, steps: int) -> dict[str, float]:
    """Examples a second of all processes, and milliseconds of a message, by process 0."""
    address = {"WORLD_SIZE": str(case.processes), "MASTER_ADDR": "localhost", "MASTER_PORT": str(free_port())}
    command = [sys.executable, "-m", "benchmarks.distributed", json.dumps(case), str(steps)]
    started = [
        subprocess.Popen(
            command,
            env={**os.environ, **variables(1), **address, "RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for rank in range(case.processes)
    ]
    outputs = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        raise RuntimeError(f"{command} failed")
    found: list[dict[str, float]] = [json.loads(output) for output in outputs]
    return found[0] | ({"examples": sum(own["examples"] for own in found)} if case.apart else {})


def free_port() -> int:
    """A port at which the processes meet."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port: int = free.getsockname()[1]
        return port


def train(case: Case, steps: int) -> dict[str, float]:
    """What each process does: an epoch that loads and compiles everything, and one that is measured."""
    import numpy as np
    import torch

    import neko

    duration, inputs, hidden, outputs = SHAPE
    size = case.batch
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    x = (rng.random((size * 8, duration, inputs)) < 0.2).astype(np.float32)
    y = np.eye(outputs, dtype=np.float32)[rng.integers(outputs, size=len(x))]
    model = neko.Evaluator(neko.ALIF(hidden, outputs, "torch"), loss="categorical_crossentropy")
    trainer = neko.Trainer(neko.Eprop(model))

    def run(epochs: int) -> float:
        begin = time.perf_counter()
        trainer.train(x, y, epochs=epochs, batch_size=size, progress=False, distributed=not case.apart)
        return time.perf_counter() - begin

    run(2)
    epochs = max(1, steps // 8)
    found = {"examples": 8 * size * epochs / run(epochs), "message": 0.0, "bytes": 0.0}
    if case.processes > 1 and not case.apart:
        numbers = torch.zeros(sum(int(np.prod(p.shape)) for p in model.params.values()) + 1)
        begin = time.perf_counter()
        for _ in range(200):
            torch.distributed.all_reduce(numbers)
        found |= {"message": 5.0 * (time.perf_counter() - begin), "bytes": 4.0 * len(numbers)}
    return found


if __name__ == "__main__":
    arguments = [json.loads(argument) for argument in sys.argv[1:]]
    print(json.dumps(train(Case(*arguments[0]), arguments[1]) if arguments else measure()))
