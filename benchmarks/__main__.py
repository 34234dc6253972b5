"""Run all benchmarks: ``python -m benchmarks [framework …]``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.shapes import SHAPES

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
SECONDS = "4"


def work(framework: str, task: str, argument: str) -> Any:
    """The result of a worker in a process of its own, on one core where the system can bind it."""
    bind = ["taskset", "-c", str(min(os.sched_getaffinity(0)))] if hasattr(os, "sched_getaffinity") else []
    command = [*bind, sys.executable, "-m", "benchmarks.worker", framework, task, argument]
    done = subprocess.run(command, env=os.environ | ONE_THREAD, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Print times, ratios and memory."""
    console = Console(width=140)
    frameworks = sys.argv[1:] or ["jax", "torch", "tensorflow"]
    table = Table(title="Training step of ALIF, median ms, one thread")
    for column in ("framework", "(batch, T, in, hidden, out)", "by hand (BPTT)", "products", "e-prop", "chunk=64"):
        table.add_column(column, justify="right")
    for column in ("e-prop / by hand", "e-prop / products", "chunk=64 / e-prop"):
        table.add_column(column, justify="right")
    memory = Table(title="Peak memory of chunk=64, MiB")
    for column in ("framework", "T = 2,000", "T = 20,000", "ratio"):
        memory.add_column(column, justify="right")
    for framework in frameworks:
        for shape, row in zip(SHAPES, work(framework, "speed", SECONDS), strict=True):
            times = [row[name] for name in ("by hand", "products", "e-prop", "chunk=64")]
            ratios = times[2] / times[0], times[2] / times[1], times[3] / times[2]
            table.add_row(framework, str(shape), *(f"{t:.1f}" for t in times), *(f"{r:.2f}" for r in ratios))
        short, long = (work(framework, "memory", steps) for steps in ("2000", "20000"))
        memory.add_row(framework, f"{short:.0f}", f"{long:.0f}", f"{long / short:.2f}")
    console.print(table)
    console.print(memory)


main()
