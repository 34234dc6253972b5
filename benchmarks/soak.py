"""Whether memory grows in a long training: ``python -m benchmarks.soak --backend torch --minutes 60``.

A network is trained with validation, and with a checkpoint and a prediction every hundred steps, and the anonymous
resident memory of the process is read once a second. Its slope after the warm-up is that of least squares over the
means of equal parts of the time, which, other than single readings, hardly depend on each other; the interval is
Student's.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import tempfile
import time
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

import neko
from neko.training.callbacks import Callback
from neko.training.costs import resident

WARM = 90.0
"""Seconds after which the slope begins, or half of a shorter time: caches fill, programs are compiled."""
PARTS = 24
STEPS, EVERY, BATCH, TIME, INPUTS, UNITS, CLASSES = 400, 100, 16, 30, 20, 32, 4
"""Of an epoch, between two checkpoints and predictions, and sizes of the data and the network."""
LEVEL = 0.95


class Slope(NamedTuple):
    """MiB an hour: the estimate and the ends of its interval."""

    value: float
    low: float
    high: float


class Found(NamedTuple):
    """What was read: seconds, MiB, the slope, and how many steps an hour there were."""

    seconds: np.ndarray
    mebibytes: np.ndarray
    slope: Slope
    steps: float

    @property
    def leak(self) -> float:
        """Bytes that a step may have left behind, at most: the upper end of the slope."""
        return self.slope.high * 2**20 / self.steps

    @property
    def power(self) -> float:
        """Bytes a step of a leak that would have been found, its interval being above zero, in 95 of 100 cases."""
        return (self.slope.high - self.slope.low) * 2**20 / self.steps


class Watch(Callback):
    """Reads memory once a second, predicts now and then, and ends the run."""

    order = 9

    def __init__(self, minutes: float, x: np.ndarray, leak: int) -> None:
        self.until, self.x, self.leak = 60.0 * minutes, x, leak
        self.begin_at = self.read_at = time.perf_counter()
        self.readings = np.full((int(2.0 * self.until) + 60, 2), np.nan)  # which must not grow itself
        self.count = 0
        self.kept: list[bytes] = []
        self.steps = 0

    def batch(self, loop: Any) -> None:
        self.steps += 1
        if self.steps % EVERY == 0:
            loop.learner.model.predict(self.x)
        if self.leak:
            self.kept.append(b"\1" * self.leak)
        now = time.perf_counter()
        if now >= self.read_at and self.count < len(self.readings):
            self.read_at = now + 1.0
            self.readings[self.count] = now - self.begin_at, resident("RssAnon") / 1024.0
            self.count += 1

    def epoch(self, loop: Any) -> None:
        gc.collect()
        if time.perf_counter() - self.begin_at > self.until:
            loop.stop("the time is over")


def slope(seconds: np.ndarray, values: np.ndarray, *, level: float = LEVEL, parts: int = PARTS) -> Slope:
    """Least squares over the means of parts of equal time, per hour, with Student's interval.

    >>> slope(np.arange(3600.0), np.arange(3600.0) / 3600.0).value
    1.0
    """
    edges = np.linspace(seconds[0], seconds[-1], parts + 1)
    place = np.clip(np.searchsorted(edges, seconds, side="right") - 1, 0, parts - 1)
    there = np.unique(place)
    t, y = (np.array([v[place == k].mean() for k in there]) for v in (seconds / 3600.0, values))
    line = stats.linregress(t, y)
    half = float(stats.t.ppf(0.5 + 0.5 * level, len(t) - 2) * line.stderr)
    return Slope(round(float(line.slope), 12), float(line.slope) - half, float(line.slope) + half)


def soak(backend: str, minutes: float, *, leak: int = 0) -> Found:
    """Train for so many minutes; with `leak`, so many bytes are left behind at each step, which must be found."""
    rng = np.random.default_rng(0)
    x = (rng.random((STEPS * BATCH, TIME, INPUTS)) < 0.2).astype(np.float32)
    y = np.eye(CLASSES, dtype=np.float32)[rng.integers(CLASSES, size=len(x))]
    model = neko.Evaluator(neko.ALIF(UNITS, CLASSES, backend), "categorical_crossentropy", ["accuracy", "firing_rate"])
    watch = Watch(minutes, x[:BATCH], leak)
    with tempfile.TemporaryDirectory() as folder:
        keep = neko.Checkpoints(folder, batches=EVERY, keep=2)
        trainer = neko.Trainer(neko.Eprop(model, mode="adaptive"))
        options = {"validation": (x[:BATCH], y[:BATCH]), "callbacks": [keep, watch], "progress": False}
        trainer.train(x, y, epochs=10**6, batch_size=BATCH, **options)
    seconds, mebibytes = watch.readings[: watch.count].T
    after = seconds > min(WARM, 0.5 * seconds[-1])
    steps = 3600.0 * watch.steps / seconds[-1]
    return Found(seconds[after], mebibytes[after], slope(seconds[after], mebibytes[after]), steps)


def told(backend: str, found: Found) -> str:
    """The result in words."""
    minutes, memory = (found.seconds[-1] - found.seconds[0]) / 60.0, found.mebibytes
    return (
        f"{backend}: {minutes:.1f} min after warm-up, {found.steps:,.0f} steps an hour, {memory.mean():.1f} MiB: "
        f"{found.slope.value:+.3f} MiB an hour, {100 * LEVEL:.0f} % interval [{found.slope.low:+.3f}, "
        f"{found.slope.high:+.3f}]; a step leaves at most {found.leak:.2f} bytes, and {found.power:.2f} would be found"
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--backend", default="torch")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--leak", type=int, default=0, help="Bytes that each step leaves behind on purpose.")
    parser.add_argument("--readings", help="Also write seconds and MiB to this CSV.")
    given = parser.parse_args()
    found = soak(given.backend, given.minutes, leak=given.leak)
    if given.readings:
        table = np.column_stack([found.seconds, found.mebibytes])
        np.savetxt(given.readings, table, delimiter=",", header="seconds,MiB", comments="")
    print(told(given.backend, found))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
