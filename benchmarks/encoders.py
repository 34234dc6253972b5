"""What encoding costs beside a pass over the same array: ``python -m benchmarks.encoders [--dtype float64]``.

10,000 beats of 187 samples: those of the heartbeats under ``NEKO_DATA``, or random walks where they are not. The pass
copies the array and compares it with a number. CPU time, so that other work on the machine counts little; medians over
rounds in which each has its turn, and of the ratios within a round.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from neko.encoders import ENCODERS, SignedEncoder

BEATS, SAMPLES = 10_000, 187
PASSES, SECONDS = 10.0, 2.0
"""A threshold code may take so many passes, any code so many seconds."""


def beats(dtype: str = "float32") -> np.ndarray:
    """Signals (10000, 187, 1) from 0 to 1."""
    path = Path(os.environ.get("NEKO_DATA", "")) / "ecg_heartbeat" / "mitbih_heartbeats.npz"
    if path.is_file():
        with np.load(path) as data:
            x = data["adc"][:BEATS] / data["range"][:BEATS, None]
    else:
        x = np.random.default_rng(0).standard_normal((BEATS, SAMPLES)).cumsum(axis=1)
        x = (x - x.min(axis=1, keepdims=True)) / np.ptp(x, axis=1, keepdims=True)
    return x[..., None].astype(dtype)


def seconds(call: Callable[[], Any]) -> float:
    begin = time.process_time()
    call()
    return time.process_time() - begin


def measure(dtype: str = "float32") -> list[dict[str, Any]]:
    """A row for each code: seconds, and passes over the array that take as long."""
    x = beats(dtype)
    codes = {name: ENCODERS[name]() for name in ENCODERS}
    signed = {name: code for name, code in codes.items() if isinstance(code, SignedEncoder)}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in codes}
    for group, rounds in ((signed, 15), (codes, 3)):
        for _ in range(rounds):
            one = seconds(lambda: x.copy() > 0.5)
            for name, code in group.items():
                times[name].append((seconds(lambda code=code: code.encode(x)), one))
    rows = []
    for name, code in codes.items():
        took = statistics.median(encoding for encoding, _ in times[name])
        passes = statistics.median(encoding / one for encoding, one in times[name])
        over = took > SECONDS or (name in signed and passes > PASSES)
        rows.append({"code": repr(code), "seconds": took, "passes": passes, "over": over})
    return sorted(rows, key=lambda row: row["seconds"])


def table(rows: list[dict[str, Any]]) -> Table:
    """The rows for a console."""
    shown = Table(title=f"Encoding {BEATS:,} beats of {SAMPLES} samples, CPU time")
    for column in ("code", "ms", "passes over the array", "limit"):
        shown.add_column(column, justify="left" if column == "code" else "right")
    for row in rows:
        limit = "[bold red]exceeded" if row["over"] else "kept"
        shown.add_row(row["code"], f"{1e3 * row['seconds']:.1f}", f"{row['passes']:.1f}", limit)
    shown.caption = f"limits: {PASSES:g} passes for threshold codes, those with split; {SECONDS:g} s for all"
    return shown


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encoders")
    parser.add_argument("--dtype", default="float32", help="dtype of the signals; default float32")
    Console(width=140).print(table(measure(parser.parse_args().dtype)))
