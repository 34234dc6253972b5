"""What a sweep costs beyond its runs: ``python -m benchmarks.sweeps``.

Some of the runs one after the other in this process, after a small one that loads and compiles everything; then all by
``neko sweep`` with two workers, from the command to its end. All runs have the same work; the ideal is the number of
runs times that of one, over the workers.
"""

from __future__ import annotations

import csv
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

RUNS, ALONE, WORKERS = 8, 2, 2
EPOCHS = 200
"""So that a run takes about half a minute of CPU time, less than most runs do."""
OPTIONS = {"data": "digits", "rule": "eprop", "backend": "torch"}


def measure(epochs: int = EPOCHS, runs: int = RUNS) -> dict[str, Any]:
    """Seconds of CPU time and by the clock of runs alone and of the sweep, and the ratios to the ideal.

    CPU time is that of all processes. By the clock, other work on the machine slows two workers down more than one run
    alone; 'own' is the clock's ratio to the sweep's own runs, as long as they took, of which the first ones load the
    framework: what is lost by starting and waiting.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        alone = one_by_one(folder, epochs, min(ALONE, runs))
        whole = swept(folder, epochs, runs)
        with (folder / "swept" / "sweep.csv").open(newline="") as file:
            own = sum(float(row["seconds"]) for row in csv.DictReader(file))
    cpu, wall = (runs * statistics.fmean(row[clock] for row in alone) for clock in ("cpu", "wall"))
    ratios = {"cpu": whole["cpu"] / cpu, "wall": whole["wall"] * WORKERS / wall, "own": whole["wall"] * WORKERS / own}
    return {"epochs": epochs, "runs": runs, "workers": WORKERS, "alone": alone, "sweep": whole, "ratio": ratios}


def one_by_one(folder: Path, epochs: int, runs: int) -> list[dict[str, float]]:
    """Every run in this process, the first of which is not measured."""
    from neko.sweeps import Sweep, plan_of
    from neko.sweeps.trial import perform

    def trials(name: str, epochs: int, count: int) -> list[Any]:
        plan = plan_of({"options": OPTIONS | {"epochs": epochs}, "seeds": f"0:{count}"})
        return Sweep(plan, folder / name).trials({})

    perform(trials("first", 1, 1)[0])
    rows = []
    for trial in trials("alone", epochs, runs):
        begin = time.process_time(), time.perf_counter()
        outcome = perform(trial)
        if outcome.error:
            raise RuntimeError(outcome.error)
        rows.append({"cpu": time.process_time() - begin[0], "wall": time.perf_counter() - begin[1]})
    return rows


def swept(folder: Path, epochs: int, runs: int) -> dict[str, float]:
    """The sweep as a command, with all of its processes."""
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump({"options": OPTIONS | {"epochs": epochs}, "seeds": f"0:{runs}"}))
    words = [sys.executable, "-m", "neko", "sweep", str(path), "--out", str(folder / "swept")]
    before, begin = children(), time.perf_counter()
    subprocess.run([*words, "--workers", str(WORKERS)], stdout=subprocess.DEVNULL, check=True)
    return {"cpu": children() - before, "wall": time.perf_counter() - begin}


def children() -> float:
    """CPU time of all processes that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    print(measure())
