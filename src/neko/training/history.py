"""The history of training: one number per epoch for every measure."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

from neko.io import files


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
        with Path(path).open(newline="") as file:
            rows = list(csv.reader(file))
        if not rows or rows[0][:1] != ["epoch"] or any(len(row) != len(rows[0]) for row in rows):
            raise ValueError(f"{path} is no history: expected a CSV with the column 'epoch' first")
        columns = zip(*rows[1:], strict=True) if len(rows) > 1 else [()] * len(rows[0])
        try:
            values = [[float(entry) for entry in column] for column in columns]
        except ValueError as error:
            raise ValueError(f"{path} is no history: {error}") from error
        return cls(zip(rows[0][1:], values[1:], strict=True))
