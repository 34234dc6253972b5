"""Histograms of conductances, epoch by epoch."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from neko.arguments import as_path
from neko.io import files, limited
from neko.training.callbacks.base import Callback
from neko.training.loop import Loop
from neko.updates.analog import AnalogUpdate

LIMIT = 2**28
"""Bytes of a file: 256 MiB."""
BINS = 40
COLUMNS = ("epoch", "parameter", "device", "lowest", "highest", *map(str, range(1, BINS + 1)))


class Histograms(NamedTuple):
    """Of one device of a parameter's weights: the number of `epochs` (n,) after which it was counted, `edges` (bins +
    1,) of the conductance in siemens, and `counts` (n, bins) of devices."""

    epochs: np.ndarray
    edges: np.ndarray
    counts: np.ndarray


class Conductances(Callback):
    """Counts after each epoch how many devices have which conductance, and keeps the counts in a CSV.

    A row for each epoch, parameter and device of a weight: the bounds of the devices in siemens, and the number of
    devices in each of 40 equal parts between them. A run that is resumed goes on in the same file.

    Parameters
    ----------
    path : path
        Where the CSV goes; an old one is replaced, but for the epochs before those of this call.

    Raises
    ------
    TypeError
        When training begins with a rule whose weights do not lie in devices.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import neko
    >>> from neko.devices import SoftBounds
    >>> x, y = np.ones((3, 20, 4)), np.eye(2)[[0, 1, 1]]
    >>> model = neko.Evaluator(neko.LIF(8, 2, "torch"), loss="categorical_crossentropy")
    >>> trainer = neko.Trainer(neko.Eprop(model, optimizer=neko.Manhattan(device=SoftBounds())))
    >>> path = f"{tempfile.mkdtemp()}/conductances.csv"
    >>> keep = neko.callbacks.Conductances(path)
    >>> _ = trainer.train(x, y, epochs=2, callbacks=[keep], progress=False)
    >>> found = neko.callbacks.Conductances.read(path)
    >>> found["layers.0.w_in"]["g⁺"].counts.sum(axis=1)
    array([32, 32])
    """

    recorded = False  # the file is complete before a checkpoint is written
    everywhere = False

    def __init__(self, path: str | Path) -> None:
        self.path = as_path("path", path)
        self.lines: list[str] | None = None
        self.bounds: dict[str, dict[str, tuple[float, float]]] = {}

    def begin(self, loop: Loop) -> None:
        update = getattr(loop.learner, "update", None)
        if not isinstance(update, AnalogUpdate):
            raise TypeError(
                f"Conductances with {loop.learner!r}: expected a rule whose weights lie in devices, such as "
                "optimizer=Manhattan(device=SoftBounds())"
            )
        files.prepare(self.path.parent)
        self.lines, self.bounds = None, {}

    def epoch(self, loop: Loop) -> None:
        learner: Any = loop.learner
        number, update, state = loop.history.epochs, learner.update, learner.update_state
        self.bounds = self.bounds or update.bounds(state)
        rows = [
            [number, name, label, *self.bounds[name][label], *counted(g, self.bounds[name][label])]
            for name, devices in update.conductances(state).items()
            for label, g in devices.items()
        ]
        if self.lines is None:
            before = lines(self.path) if self.path.exists() else []
            self.lines = [line for line in before if self.number(line) < number]
        self.lines += text(rows)
        files.write(self.path, "".join([*text([COLUMNS]), *self.lines]).encode())

    def number(self, line: str) -> int:
        """The epoch of a line."""
        try:
            return int(line.partition(",")[0])
        except ValueError as error:
            raise ValueError(f"{self.path} has no histograms of conductances: {error}; delete it") from error

    @staticmethod
    def read(path: str | Path) -> dict[str, dict[str, Histograms]]:
        """The histograms of a file, by parameter and device; ValueError for any other file."""
        found: dict[str, dict[str, list[list[float]]]] = {}
        try:
            for epoch, name, label, *numbers in csv.reader(lines(as_path("path", path))):
                found.setdefault(name, {}).setdefault(label, []).append([int(epoch), *map(float, numbers)])
            return {
                name: {label: histograms(np.array(rows)) for label, rows in devices.items()}
                for name, devices in found.items()
            }
        except (ValueError, IndexError, OverflowError, csv.Error) as error:
            raise ValueError(f"{path} has no histograms of conductances: {error}") from error


def counted(g: np.ndarray, bounds: tuple[float, float]) -> list[int]:
    """The number of devices in each bin."""
    counts: list[int] = np.histogram(g, bins=BINS, range=bounds)[0].tolist()
    return counts


def histograms(rows: np.ndarray) -> Histograms:
    """Rows of epoch, lowest, highest and counts."""
    edges = np.linspace(rows[-1, 1], rows[-1, 2], rows.shape[1] - 2)
    return Histograms(rows[:, 0].astype(int), edges, rows[:, 3:].astype(int))


def text(rows: Any) -> list[str]:
    """Rows as lines of CSV."""
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator="\n").writerows(rows)
    return written.getvalue().splitlines(keepends=True)


def lines(path: Path) -> list[str]:
    """The lines of a file of `Conductances` but the first; ValueError for another file."""
    first, *others = limited.text(path, LIMIT).splitlines(keepends=True) or [""]
    if [first] != text([COLUMNS]):
        raise ValueError(f"{path} is another file: expected one of Conductances, or a path of a new one")
    return others
