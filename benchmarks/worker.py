"""One framework in one process with one thread: ``python -m benchmarks.worker torch`` prints times as JSON."""

from __future__ import annotations

import importlib
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable

from benchmarks import by_neko
from benchmarks.shapes import SHAPES


def median_times(steps: dict[str, Callable[[], float]], seconds: float) -> dict[str, float]:
    """Median milliseconds of each step, taken in turn so that a drift of the machine meets all alike."""
    for step in steps.values():
        step()
        step()
    found: dict[str, list[float]] = {name: [] for name in steps}
    end = time.perf_counter() + seconds * len(steps)
    while time.perf_counter() < end or len(found[next(iter(found))]) < 5:
        for name, step in steps.items():
            begin = time.perf_counter()
            step()
            found[name].append(1e3 * (time.perf_counter() - begin))
    return {name: statistics.median(times) for name, times in found.items()}


def speed(framework: str, seconds: float) -> list[dict[str, float]]:
    """Median milliseconds per step and the first loss, for each shape."""
    one_thread(framework)
    by_hand = importlib.import_module(f"benchmarks.by_hand_{framework}")
    rows = []
    for shape in SHAPES:
        steps = {
            "by hand": by_hand.training_step(shape),
            "products": by_hand.products(shape),
            "e-prop": by_neko.training_step(framework, shape),
            "chunk=64": by_neko.training_step(framework, shape, chunk=64),
        }
        first = {name: step() for name, step in steps.items() if name != "products"}
        if max(first.values()) - min(first.values()) > 1e-4 * abs(first["by hand"]):
            raise RuntimeError(f"the steps do not compute the same loss: {first}")
        rows.append({**median_times(steps, seconds), "loss": first["by hand"]})
    return rows


def one_thread(framework: str) -> None:
    """Keep a framework from starting more threads than one."""
    if framework == "torch":
        import torch

        torch.set_num_threads(1)
    if framework == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)


def peak_memory(framework: str, time_steps: int) -> float:
    """Peak resident memory of this process in MiB after three steps of chunk=64."""
    step = by_neko.training_step(framework, (8, time_steps, 39, 200, 61), chunk=64)
    for _ in range(3):
        step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    name, task = sys.argv[1], sys.argv[2]
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(json.dumps(speed(name, float(sys.argv[3])) if task == "speed" else peak_memory(name, int(sys.argv[3]))))
