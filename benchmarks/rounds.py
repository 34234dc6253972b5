"""Contenders in turn, round after round, so that a drift of the machine meets all alike."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.contenders import CONTENDERS
from benchmarks.processes import work

LONGEST = 2000
"""Time steps of the sequences on which thresholds are found."""
TOLERANCE = 1e-3
"""Relative difference of two losses of one network: rounding moves single spikes of long sequences."""
MODEL = "torch by hand"
"""Whose forward pass finds the threshold of the network that the library and what is written by hand compute."""

Case = dict[str, Any]


def calibrated(contenders: Iterable[str], cases: list[Case]) -> dict[str, list[Case]]:
    """For every network among the contenders, the cases with the threshold that gives their firing rate."""
    found = {}
    for name in contenders:
        network = CONTENDERS[name].network
        if network not in found:
            model = MODEL if network == CONTENDERS[MODEL].network else name
            short = [{"shape": shortened(case["shape"]), "rate": case["rate"]} for case in cases]
            v_th = work(model, "thresholds", cases=short)
            found[network] = [case | {"v_th": v} for case, v in zip(cases, v_th, strict=True)]
    return found


def shortened(shape: tuple[int, ...]) -> list[int]:
    batch, time, *rest = shape
    return [batch, min(time, LONGEST), *rest]


def measure(
    contenders: list[str],
    cases: list[Case],
    rounds: int,
    seconds: float,
    say: Callable[[str], None],
    threads: int = 1,
) -> dict[str, Any]:
    """Rows ``{contender: [[row of a round, …] of a case, …]}`` of `worker.speed`, the cases, and what failed."""
    present = [name for name in contenders if CONTENDERS[name].installed]
    settled = calibrated(present, cases)
    rows: dict[str, list[list[dict[str, Any]]]] = {name: [[] for _ in cases] for name in present}
    failed: dict[str, str] = {}
    for number in range(rounds):
        for name in random.sample(present, len(present)):
            if name in failed:
                continue
            try:
                found = work(name, "speed", threads, cases=settled[CONTENDERS[name].network], seconds=seconds)
            except RuntimeError as error:
                failed[name] = str(error)
                rows.pop(name)
                continue
            for row, kept in zip(found, rows[name], strict=True):
                kept.append(row)
            say(f"round {number + 1} of {rounds}, {name}")
    check_losses(rows, len(cases))
    return {"cases": settled, "rows": rows, "failed": failed, "rounds": rounds, "seconds": seconds, "threads": threads}


def check_losses(rows: dict[str, list[list[dict[str, Any]]]], cases: int) -> None:
    """RuntimeError where two contenders of one network do not compute the same loss."""
    for case in range(cases):
        losses: dict[str, dict[str, float]] = {}
        for name, found in rows.items():
            if found[case][0]["rate"] is not None:
                losses.setdefault(CONTENDERS[name].network, {})[name] = found[case][0]["loss"]
        for network, of in losses.items():
            if max(of.values()) - min(of.values()) > TOLERANCE * min(of.values()):
                raise RuntimeError(f"not the same loss of the network {network!r} in case {case}: {of}")
