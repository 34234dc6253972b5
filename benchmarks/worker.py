"""One contender in a process of its own: ``python -m benchmarks.worker TASK JSON`` prints what it measured as JSON."""

from __future__ import annotations

import json
import math
import os
import resource
import statistics
import sys
import time
from typing import Any

from benchmarks.contenders import CONTENDERS, Contender

LOWEST, HIGHEST = 0.01, 100.0
"""Thresholds between which a firing rate is looked for."""
SLOW = 5.0
"""Steps are repeated at least twice, unless that takes so many times the time that a case is given."""


def thresholds(contender: Contender, cases: list[dict[str, Any]]) -> list[float]:
    """The threshold of each case at which neurons spike in the fraction `rate` of time steps, within 2 % of it."""
    found = []
    for case in cases:
        low, high = math.log(LOWEST), math.log(HIGHEST)
        for _ in range(20):
            v_th = math.exp((low + high) / 2)
            measured = contender.build(case["shape"], v_th).rate()
            if abs(measured - case["rate"]) < 0.02 * case["rate"]:
                break
            low, high = (math.log(v_th), high) if measured > case["rate"] else (low, math.log(v_th))
        found.append(v_th)
    return found


def speed(contender: Contender, cases: list[dict[str, Any]], seconds: float) -> list[dict[str, Any]]:
    """Median milliseconds of a step after the first two, by CPU and by the clock; the first loss; the firing rate."""
    rows = []
    for case in cases:
        step, rate, count = contender.build(case["shape"], case["v_th"])
        loss = step()
        step()  # some programs are compiled again for the parameters that the first step gave
        cpu, wall = [], []
        start = time.perf_counter()
        while not cpu or (spent := time.perf_counter() - start) < seconds or (len(cpu) < 3 and spent < SLOW * seconds):
            begin = time.process_time(), time.perf_counter()
            step()
            cpu.append(1e3 * (time.process_time() - begin[0]))
            wall.append(1e3 * (time.perf_counter() - begin[1]))
        rows.append(
            {
                "cpu": statistics.median(cpu) / count,
                "wall": statistics.median(wall) / count,
                "steps": len(cpu),
                "loss": loss,
                "rate": None if rate is None else rate(),
            }
        )
    return rows


def memory(contender: Contender, cases: list[dict[str, Any]], steps: int) -> float:
    """Peak resident memory in MiB of this process after `steps` steps of the one case."""
    (case,) = cases
    step = contender.build(case["shape"], case["v_th"]).step
    for _ in range(steps):
        step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def first(contender: Contender, cases: list[dict[str, Any]], began: float) -> dict[str, float]:
    """Seconds from the start of the process to the end of its first step of the one case."""
    (case,) = cases
    contender.build(case["shape"], case["v_th"]).step()
    return {"cpu": time.process_time(), "wall": time.time() - began}


def pin(cores: int) -> None:
    """Keep this process to its last cores, where the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-cores:])


TASKS = {"thresholds": thresholds, "speed": speed, "memory": memory, "first": first}

if __name__ == "__main__":
    task, arguments = sys.argv[1], json.loads(sys.argv[2])
    pin(arguments.pop("cores"))
    arguments["contender"] = CONTENDERS[arguments["contender"]]
    print(json.dumps(TASKS[task](**arguments)))
