"""The history of training: one number per epoch for every measure."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from neko.errors import CheckpointError
from neko.io import files, limited

LIMIT = 2**28
"""Bytes of a history, 64 a number, as it is in memory: 256 MiB."""


class History(dict[str, list[float]]):
    """Measures by name, each a list with one number per epoch; NaN where an epoch had none.

    Examples
    --------
    >>> history = History(loss=[0.9, 0.5])
    >>> history.append({"loss": 0.4, "val_loss": 0.6})
    >>> history.rows()[-1]
    {'epoch': 3, 'loss': 0.4, 'val_loss': 0.6}
    >>> history["val_loss"]
    [nan, nan, 0.6]
    """

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.4g}" for name, values in self.items() if values)
        return f"<History: {self.epochs} epochs{', the last with ' if last else ''}{last}>"

    @property
    def epochs(self) -> int:
        """Number of epochs."""
        return max((len(values) for values in self.values()), default=0)

    def append(self, measures: dict[str, float]) -> None:
        """Add an epoch."""
        before = self.epochs
        for name in measures:
            self.setdefault(name, [math.nan] * before)
        for name, values in self.items():
            values.append(measures.get(name, math.nan))

    def replace(self, saved: Any) -> None:
        """Take the measures of a checkpoint in place of these; CheckpointError for anything else."""
        lists: list[Any] = list(saved.values()) if isinstance(saved, dict) else [None]
        if not all(isinstance(values, list) and all(type(v) in (int, float) for v in values) for values in lists):
            raise CheckpointError(f"its history is {saved!r}: expected measures with a list of numbers each")
        if len({len(values) for values in lists}) > 1:
            raise CheckpointError(
                f"its history has lists of {sorted({*map(len, lists)})!r} numbers: expected as many each"
            )
        self.clear()
        self.update(saved)

    def rows(self) -> list[dict[str, float]]:
        """One dict per epoch, with its number from 1."""
        return [
            {"epoch": epoch + 1, **{name: values[epoch] for name, values in self.items()}}
            for epoch in range(self.epochs)
        ]

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame` with the epoch as its index; ImportError if pandas is not installed."""
        try:
            import pandas
        except ImportError as error:
            raise ImportError("history as a table needs pandas: pip install pandas, or use rows()") from error
        return pandas.DataFrame(self.rows(), columns=["epoch", *self]).set_index("epoch")

    def save(self, path: str | Path) -> Path:
        """Write the history as CSV, every number with all its digits."""
        return files.write_table(path, ["epoch", *self], self.rows())

    @classmethod
    def load(cls, path: str | Path) -> History:
        """Read what `save` wrote; ValueError for anything else."""
        found: list[list[float]] = []
        names: list[str] = []
        told = f"{path} is no history: expected a CSV with the column 'epoch' first, each measure once, and numbers"
        for n, row in limited.rows(Path(path), LIMIT, others=""):
            if not names:
                if row[0] != "epoch" or len({*row}) < len(row):
                    raise ValueError(told)
                names = row
                continue
            try:
                found.append([float(entry) for entry in row])
            except ValueError as error:
                raise ValueError(f"{told}; line {n}: {error}") from error
            if len(row) != len(names) or 64 * len(found) * len(names) > LIMIT:
                raise ValueError(f"{told}, as many as names, at most {LIMIT // 64:,}; line {n}")
        if not names:
            raise ValueError(told)
        return cls({name: [row[k] for row in found] for k, name in enumerate(names) if k})
