"""Run all benchmarks: ``python -m benchmarks [framework …] [--save]``."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import encoders
from benchmarks.shapes import SHAPES

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
SECONDS = "4"
FRAMEWORKS = ["jax", "torch", "tensorflow"]
RESULTS = Path(__file__).parent / "results"


def work(framework: str, task: str, argument: str) -> Any:
    """The result of a worker in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.worker", framework, task, argument]
    done = subprocess.run(command, env=os.environ | ONE_THREAD, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Print times, ratios and memory; with ``--save`` also write them as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("frameworks", nargs="*", help=f"any of {', '.join(FRAMEWORKS)}; default all")
    parser.add_argument("--save", action="store_true", help="write the numbers to benchmarks/results")
    options = parser.parse_args()
    frameworks = options.frameworks or FRAMEWORKS
    if unknown := set(frameworks) - set(FRAMEWORKS):
        parser.error(f"no framework {sorted(unknown)!r}: expected any of {FRAMEWORKS}")
    console = Console(width=140)
    found: dict[str, Any] = {}
    table = Table(title="Training step of ALIF, median ms, one thread")
    for column in ("framework", "(batch, T, in, hidden, out)", "by hand (BPTT)", "products", "e-prop", "chunk=64"):
        table.add_column(column, justify="right")
    for column in ("e-prop / by hand", "e-prop / products", "chunk=64 / e-prop"):
        table.add_column(column, justify="right")
    memory = Table(title="Peak memory of chunk=64, MiB")
    for column in ("framework", "T = 2,000", "T = 20,000", "ratio"):
        memory.add_column(column, justify="right")
    for framework in frameworks:
        rows = work(framework, "speed", SECONDS)
        for shape, row in zip(SHAPES, rows, strict=True):
            times = [row[name] for name in ("by hand", "products", "e-prop", "chunk=64")]
            ratios = times[2] / times[0], times[2] / times[1], times[3] / times[2]
            table.add_row(framework, str(shape), *(f"{t:.1f}" for t in times), *(f"{r:.2f}" for r in ratios))
        short, long = (work(framework, "memory", steps) for steps in ("2000", "20000"))
        found[framework] = {"shapes": SHAPES, "ms": rows, "peak MiB": {"T=2000": short, "T=20000": long}}
        memory.add_row(framework, f"{short:.0f}", f"{long:.0f}", f"{long / short:.2f}")
    found["encoders"] = encoders.measure()
    console.print(table)
    console.print(memory)
    console.print(encoders.table(found["encoders"]))
    for i, shape in enumerate(SHAPES):
        losses = {framework: found[framework]["ms"][i]["loss"] for framework in frameworks}
        if max(losses.values()) - min(losses.values()) > 1e-4 * min(losses.values()):
            raise RuntimeError(f"the frameworks do not compute the same loss at {shape}: {losses}")
    if options.save:
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}.json"
        path.write_text(json.dumps(found, indent=1) + "\n")
        console.print(f"saved {path.name}")


main()
