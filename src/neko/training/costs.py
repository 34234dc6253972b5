"""What the gradient of a rule costs: time and memory, each rule alone, with nothing shared."""

from __future__ import annotations

import ctypes
import gc
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from neko import tree
from neko.backend import generated
from neko.data.intake import Examples
from neko.training.learning_rule import LearningRule

REPEATS = 5
"""Gradients that are timed, of which the median counts."""
STATUS, FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Cost(NamedTuple):
    """Costs of one gradient of a batch.

    ``seconds`` of CPU time of this process, all threads together, which other work on the machine hardly changes; on an
    accelerator it is the time of the host alone. ``megabytes`` by which the memory of the process that is resident
    exceeds, at its peak, that before the gradient, after unused memory was given back to the system: inputs and
    parameters are not in it, what the gradient itself keeps or allocates is, whoever allocates it. It is known on Linux
    with the GNU C library and on the CPU; otherwise None.
    """

    seconds: float
    megabytes: float | None


def cost(rule: LearningRule, batch: Examples) -> Cost:
    """The cost of a rule's gradient, after a first one that compiles."""

    def gradient() -> None:
        loss, gradients = rule.gradients_of(batch)
        tree.map(rule.xp.to_numpy, (loss, gradients))  # which waits for it

    gradient()
    seconds = []
    for _ in range(REPEATS):
        begin = time.process_time()
        gradient()
        seconds.append(time.process_time() - begin)
    on_host = "cpu" in str(rule.xp.device or "cpu").lower()
    return Cost(statistics.median(seconds), peak(gradient) if on_host else None)


def peak(f: Callable[[], Any]) -> float | None:
    """Megabytes by which resident memory grows at most during ``f()``; None where it cannot be measured."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None
    generated.release()
    gc.collect()
    trim(0)
    try:
        FORGET.write_text("5")  # the highest resident memory so far is forgotten
        before = resident("VmRSS")
        f()
        return max(0.0, (resident("VmHWM") - before) / 1024.0)
    except OSError:
        return None


def resident(entry: str) -> float:
    """An entry of the process's status in kilobytes."""
    found = re.search(rf"^{entry}:\s*(\d+) kB", STATUS.read_text(), flags=re.M)
    if found is None:
        raise OSError(f"{STATUS} has no {entry}")
    return float(found[1])
