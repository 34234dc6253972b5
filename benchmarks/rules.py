"""A training step by a rule of the registry, in a process of its own: ``python -m benchmarks rules``."""

from __future__ import annotations

import resource
import statistics
import time
from typing import Any

import neko
from benchmarks.shapes import LEARNING_RATE, data
from neko.training.pairs import resolve

SMALL = (2, 2, 3, 4, 2)
FEWEST, MOST = 3, 200
"""Steps that are measured, of a rule of which one step takes less than the seconds that it is given."""


def build(shape: tuple[int, ...]) -> tuple[neko.Evaluator, Any, Any]:
    """A layer of ALIF neurons with a leaky readout, and a batch for which about 5 % of them spike in a step."""
    model = neko.Model(neko.cells.ALIF(shape[3]), shape[4], neko.backend.get("torch"))
    return neko.Evaluator(model, loss="categorical_crossentropy", metrics=["firing_rate"]), *data(shape)


def measure(name: str | None, shape: tuple[int, ...], seconds: float) -> dict[str, Any]:
    """Median milliseconds of CPU time of a step, peak memory of the process in MiB, and the firing rate in spikes per
    step; without a rule the memory alone, and for a rule that refuses the network its reason."""
    import torch

    torch.set_num_threads(1)
    for each in ("bptt", "eprop"):  # so that every process has loaded the same
        model, x, y = build(SMALL)
        resolve(each)(model).step(x, y)
    model, x, y = build(shape)
    model.build(x)
    cpu: list[float] = []
    rate = 0.0
    if name is not None:
        try:
            rule = resolve(name)(model, learning_rate=LEARNING_RATE)
        except (TypeError, ValueError) as error:
            return {"refused": str(error)}
        start = time.perf_counter()
        for number in range(2 + MOST):
            begin = time.process_time()
            rate = rule.step(x, y)["firing_rate"] * model.model.dt / 1000.0
            cpu.append(1e3 * (time.process_time() - begin))
            spent = time.perf_counter() - start
            if spent > seconds and (number > 1 + FEWEST or spent > 5.0 * seconds):
                break
    # The first two steps make what later ones use.
    found = cpu[2:] or cpu[-1:]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"cpu": statistics.median(found) if found else None, "peak": peak, "rate": rate, "steps": len(found)}
