"""What pulses cost beside Adam, and chains beside their gradient: ``python -m benchmarks.updates [--dtype float64]``.

On PyTorch and one thread: an update alone, without the gradient, by Adam and by the Manhattan rule through devices, up
to ten million devices at once; a whole training step by both; and a Langevin transition beside the gradient that it
follows. CPU time, so that other work on the machine counts little; medians over rounds in which each has its turn, and
of the ratios within a round.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import neko
from benchmarks.shapes import SHAPES, data, weights
from neko import updates
from neko.devices import ConstantStep

ROUNDS = 40
NOISY = ConstantStep(dg_min_std=0.3, dg_min_dtod=0.3, g_max_dtod=0.1)
UPDATES = {
    "Adam": "adam",
    "constant steps": neko.Manhattan(device=ConstantStep()),
    "noise and spread": neko.Manhattan(device=NOISY),
}
LARGE = (1, 1, 1500, 1500, 333)
"""Five million weights, in ten million devices."""
LIMITS = {"constant steps": 1.5, "training step, constant steps": 1.5, "noise and spread": 3.0, "Langevin": 1.1}
"""Times Adam's update, and times the gradient."""


def update(xp: Any, optimizer: Any, shape: tuple[int, ...]) -> Callable[[], None]:
    """Weights as the update stores them, then new weights."""
    found = updates.resolve(xp, optimizer).update
    rng = np.random.default_rng(2)
    params = {name: xp.asarray(w) for name, w in weights(shape).items()}
    gradients = {name: xp.asarray(rng.standard_normal(w.shape)) for name, w in weights(shape).items()}
    rate, held = xp.scalar(1e-6), [params, found.init(params)]

    def run() -> None:
        params, state = found.hold(*held)
        held[:] = found.step(params, gradients, state, rate)

    return run


def training(xp: Any, optimizer: Any, shape: tuple[int, ...]) -> Callable[[], Any]:
    """A step of e-prop: gradient and update."""
    model = neko.Evaluator(neko.Model(neko.cells.ALIF(shape[3]), shape[4], xp), loss="categorical_crossentropy")
    rule = neko.Eprop(model, optimizer=optimizer)
    x, y = data(shape)
    return lambda: rule.step(x, y)


def chain(xp: Any, shape: tuple[int, ...]) -> dict[str, Callable[[], Any]]:
    """The gradient of e-prop over all data, and a transition of a Langevin chain that follows it."""
    model = neko.Evaluator(neko.Model(neko.cells.ALIF(shape[3]), shape[4], xp), loss="categorical_crossentropy")
    langevin = neko.Langevin(model, drift=neko.Eprop, step_size=1e-9, warmup=0)
    x, y = data(shape)
    neko.Trainer(langevin).train(x, y, batch_size=shape[0], progress=False)
    rule, examples = neko.Eprop(model), model.examples(x, y, None)
    return {
        "gradient": lambda: rule.gradients_of(examples),
        "Langevin": lambda: langevin.learn(langevin.chains),
    }


def times(contenders: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """CPU milliseconds of each, round by round, after two calls that compile and fill caches."""
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 2):
        for name, call in contenders.items():
            begin = time.process_time()
            call()
            if number >= 2:
                found[name].append(1e3 * (time.process_time() - begin))
    return found


def measure(
    dtype: str = "float32", shapes: list[tuple[int, ...]] = SHAPES[:2], rounds: int = ROUNDS
) -> list[dict[str, Any]]:
    """A row for each contender and shape: milliseconds, and the ratio to the first of its kind."""
    xp = neko.backend.get("torch", dtype=dtype)
    rows = []
    for shape in (*shapes, LARGE):
        groups = [{name: update(xp, given, shape) for name, given in UPDATES.items()}]
        if shape != LARGE:
            names = ("Adam", "constant steps")
            groups += [
                {f"training step, {name}": training(xp, UPDATES[name], shape) for name in names},
                chain(xp, shape),
            ]
        for group in groups:
            found = times(group, rounds)
            base = next(iter(found.values()))
            for name, took in found.items():
                ratio = statistics.median(a / b for a, b in zip(took, base, strict=True))
                rows.append({"shape": shape, "name": name, "ms": statistics.median(took), "ratio": ratio})
    return rows


def table(rows: list[dict[str, Any]]) -> Table:
    """The rows for a console."""
    shown = Table(title="Updates and transitions on PyTorch, one thread, CPU time")
    for column in ("(batch, T, in, hidden, out)", "", "ms", "ratio", "limit"):
        shown.add_column(column, justify="right")
    for row in rows:
        limit = LIMITS.get(row["name"])
        mark = "" if limit is None else f"{limit:g}" if row["ratio"] <= limit else f"[bold red]{limit:g}"
        shown.add_row(str(row["shape"]), row["name"], f"{row['ms']:.3f}", f"{row['ratio']:.2f}", mark)
    return shown


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.updates")
    parser.add_argument("--dtype", default="float32", help="precision; default float32")
    options = parser.parse_args()
    torch.set_num_threads(1)
    Console(width=120).print(table(measure(options.dtype)))
