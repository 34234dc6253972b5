"""The part of the page of speed on sweeps."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

from benchmarks.figures import number, table


def sweeps(found: dict[str, Any]) -> Iterator[str]:
    runs, workers, ratio = found["runs"], found["workers"], found["ratio"]
    yield "## A sweep"
    yield (
        f"{runs} runs of `neko train` ({found['epochs']} epochs of the digits by e-prop, one thread each) by `neko "
        f"sweep` with {workers} workers, from the command to its end, beside {runs} times such a run in a process that "
        f"has loaded everything ({len(found['alone'])} were measured). By CPU time this is the ideal, by the clock it "
        f"is divided by {workers}; at most 1.1 times the ideal is aimed at. By the clock other work on the machine "
        "slows two workers down more than one run."
    )
    clocks = {"cpu": ("CPU time", 1), "wall": ("the clock", workers)}
    rows = []
    for clock, (title, share) in clocks.items():
        one = statistics.fmean(row[clock] for row in found["alone"])
        numbers = (one, runs * one / share, found["sweep"][clock])
        rows.append([title, *map(number, numbers), f"{ratio[clock]:.2f}"])
    yield table(["seconds", "a run alone", "ideal", "the sweep", "sweep / ideal"], rows)
    yield (
        f"By the clock the sweep took {ratio['own']:.2f} times its own runs, as long as these took, over the workers: "
        "the rest is the start, the table and the figure, and waiting for the last run. What a process loads for its "
        "first run counts to that run."
    )
