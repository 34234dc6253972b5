"""The part of the page of speed on sweeps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.figures import number, table


def sweeps(found: dict[str, Any]) -> Iterator[str]:
    alone, workers = found["alone"], found["workers"]
    yield "## A sweep"
    yield (
        f"{len(alone)} runs of `neko train` ({found['epochs']} epochs of the digits by e-prop, one thread each) by "
        f"`neko sweep` with {workers} workers, from the command to its end, beside the same runs one after the other "
        "in a process that has loaded everything. By CPU time the ideal is the sum of the runs, by the clock that sum "
        "over the workers; at most 1.1 times the ideal is aimed at. By the clock other work on the machine counts."
    )
    clocks = {"cpu": ("CPU time", 1), "wall": ("the clock", workers)}
    yield table(
        ["seconds", "a run alone", "ideal", "the sweep", "sweep / ideal"],
        (
            [
                title,
                number(sum(row[clock] for row in alone) / len(alone)),
                number(sum(row[clock] for row in alone) / share),
                number(found["sweep"][clock]),
                f"{found['ratio'][clock]:.2f}",
            ]
            for clock, (title, share) in clocks.items()
        ),
    )
