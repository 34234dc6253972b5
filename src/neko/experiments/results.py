"""Measures of trials, their means with intervals, and tables of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from neko.experiments.base import Trial

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """A mean over `n` trials with its confidence interval ``mean ± half``; `half` is NaN for a single value.

    In a format string the format is that of both numbers, ``f"{interval:.3f}"`` is ``0.860 ± 0.012``.
    """

    mean: float
    half: float
    n: int

    @classmethod
    def of(cls, values: Any) -> Interval:
        r"""The 95 % t-interval :math:`\bar x ± t_{0.975, n-1} s / \sqrt n` of independent values.

        >>> f"{Interval.of([1.0, 2.0, 3.0]):.2f}"  # t = 4.303
        '2.00 ± 2.48'
        """
        x = np.asarray(values, np.float64)
        n = len(x)
        if n < 2:
            return cls(float(x.mean()), math.nan, n)
        return cls(float(x.mean()), float(t_quantile(n - 1) * x.std(ddof=1) / np.sqrt(n)), n)

    def __format__(self, form: str) -> str:
        return f"{self.mean:{form}}" + ("" if math.isnan(self.half) else f" ± {self.half:{form}}")


def t_quantile(freedom: int) -> float:
    """The quantile of Student's t that bounds the interval; ImportError says what to install."""
    try:
        from scipy import stats
    except ImportError as error:
        raise ImportError("intervals need SciPy: pip install 'neko-learning[experiments]'") from error
    return float(stats.t.ppf(0.5 + CONFIDENCE / 2.0, freedom))


class Column(NamedTuple):
    """A column of a table: a cell for each of its rows, and the format of numbers.

    A cell is an `Interval`, a number, text, or None where there is nothing.
    """

    title: str
    cells: Sequence[Interval | float | str | None]
    form: str = ".3f"

    def shown(self) -> list[str]:
        """The cells as text."""
        return ["–" if c is None else c if isinstance(c, str) else f"{c:{self.form}}" for c in self.cells]


class Table(NamedTuple):
    """Rows by columns. `heading` is the title of the column of row names."""

    heading: str
    rows: Sequence[str]
    columns: Sequence[Column]

    def markdown(self) -> str:
        """The table in Markdown."""
        head = [self.heading, *(column.title for column in self.columns)]
        body = zip(self.rows, *(column.shown() for column in self.columns), strict=True)
        rule = ["---", *("---:" for _ in self.columns)]
        lines = [[cell.replace("|", "\\|") for cell in line] for line in (head, rule, *body)]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def records(self) -> list[dict[str, Any]]:
        """A mapping for each row; an interval is three entries, ``title``, ``title, ±`` and ``title, n``."""
        found: list[dict[str, Any]] = [{self.heading: row} for row in self.rows]
        for title, cells, _ in self.columns:
            parts = any(isinstance(cell, Interval) for cell in cells)
            for record, cell in zip(found, cells, strict=True):
                if parts:
                    three = cell if isinstance(cell, Interval) else (cell, None, None)
                    record |= dict(zip((title, f"{title}, ±", f"{title}, n"), three, strict=True))
                else:
                    record[title] = cell
        return found


class Results:
    """The measures of all trials.

    Parameters
    ----------
    found : sequence of (Trial, dict)
        Trials with their measures. Each trial also has the measure ``'seconds'``, its duration.
    """

    def __init__(self, found: Sequence[tuple[Trial, Mapping[str, Any]]]) -> None:
        self.found = found

    def __iter__(self) -> Iterator[tuple[Trial, Mapping[str, Any]]]:
        return iter(self.found)

    @property
    def rows(self) -> list[str]:
        """The rows of the trials, each once, in order."""
        return list(dict.fromkeys(trial.row for trial, _ in self.found))

    def values(self, row: str, measure: str) -> np.ndarray:
        """A measure in all trials of a row that have it: (trials,), of curves (trials, steps) with NaN after the end of
        a shorter one; (0,) if no trial has it."""
        found = [np.asarray(measures[measure]) for t, measures in self.found if t.row == row and measure in measures]
        if not found or found[0].ndim == 0:
            return np.array(found, np.float64)
        steps = max(len(curve) for curve in found)
        return np.array([np.pad(np.float64(c), (0, steps - len(c)), constant_values=np.nan) for c in found])

    def interval(self, row: str, measure: str, *, scale: float = 1.0) -> Interval | None:
        """Mean and interval of a number, multiplied by `scale`, over the trials of a row; None if no trial has it."""
        values = self.values(row, measure)
        return Interval.of(scale * values) if len(values) else None

    def column(self, title: str, measure: str, form: str = ".3f", *, scale: float = 1.0) -> Column:
        """The intervals of a measure for all `rows`."""
        return Column(title, [self.interval(row, measure, scale=scale) for row in self.rows], form)

    def beside(self, title: str, given: Mapping[str, float], form: str = ".3f") -> Column:
        """Given numbers, such as the paper's, for all `rows`."""
        return Column(title, [given.get(row) for row in self.rows], form)
