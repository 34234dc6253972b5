"""Numbers from rounds: medians, and ratios taken within a round."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import Any

Rows = dict[str, list[list[dict[str, Any]]]]
"""``{contender: [[row of a round, …] of a case, …]}``"""


def median(rows: Rows, name: str, case: int, clock: str = "cpu") -> float | None:
    """Milliseconds of a step: the median of the rounds, None for who was not measured."""
    return statistics.median(row[clock] for row in rows[name][case]) if name in rows else None


def ratio(rows: Rows, name: str, other: str, case: int, clock: str = "cpu") -> float | None:
    """The time of `name` by that of `other`: the median of the ratios of a round."""
    if name not in rows or other not in rows:
        return None
    pairs = zip(rows[name][case], rows[other][case], strict=True)
    return statistics.median(a[clock] / b[clock] for a, b in pairs)


def rate(rows: Rows, name: str, case: int) -> float | None:
    """The measured firing rate, None where nothing fires."""
    return rows[name][case][-1]["rate"] if name in rows else None


def number(value: float | None, digits: int = 3) -> str:
    """A number with so many significant digits, or a dash."""
    if value is None:
        return "–"
    if value == 0.0 or abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:#.{digits}g}".rstrip(".")


def percent(value: float | None) -> str:
    """A fraction in percent."""
    return "–" if value is None else f"{100 * value:.1f} %"


def table(header: Iterable[str], rows: Iterable[Iterable[str]], side: str = "---:") -> str:
    """A table in Markdown, all columns but the first aligned by `side`."""
    lines = [list(header), *(list(row) for row in rows)]
    lines.insert(1, ["---"] + [side] * (len(lines[0]) - 1))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
