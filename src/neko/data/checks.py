"""Checks of data before they reach a model; errors name the value, its index, and the expectation."""

from __future__ import annotations

from typing import Any

import numpy as np

from neko.containers import as_numpy, counting, first

TOLERANCE = 1e-3
"""Largest deviation of a sum of probabilities from 1."""


def mask(a: Any, *, chunks: bool = False) -> None:
    """ValueError for other entries than 0 and 1 or, except in `chunks`, a sequence without a valid frame."""
    values = as_numpy("mask", a)
    bad = (values != 0) & (values != 1)
    if bad.any():
        raise ValueError(f"mask{list(first(bad))} is {values[first(bad)]}: expected 0 at padded frames, else 1")
    empty = ~values.any(axis=-1)
    if empty.any() and not chunks:
        raise ValueError(f"mask[{first(empty)[0]}] is 0 everywhere: expected a valid frame in every sequence")


def classes(y: Any, count: int, valid: Any = None) -> None:
    """ValueError unless all valid entries are integers from 0 to count - 1."""
    values = as_numpy("y", y)
    counts = counting(values, valid)
    chosen = values[counts]
    if chosen.size and not 0 <= chosen.min() <= chosen.max() < count:
        raise ValueError(
            f"y has classes {chosen.min()} to {chosen.max()}: expected 0 to {count - 1}; mask frames without a label "
            "(marked by -100, for example)"
        )
    if values.dtype.kind == "f" and (chosen != np.floor(chosen)).any():
        where = first((values != np.floor(values)) & counts)
        raise ValueError(f"y{list(where)} is {values[where]}: expected class numbers, which are integers")


def distribution(y: Any, valid: Any, loss: str) -> None:
    """ValueError unless rows (the last axis) are probabilities, wherever `valid` is not 0."""
    values = as_numpy("y", y)
    check_rows(values, ~distributed(values), valid, f"{loss} expected one-hot rows, or probabilities with sum 1")


def distributed(values: np.ndarray) -> np.ndarray:
    """The rows that are probabilities."""
    return (values >= 0).all(axis=-1) & (np.abs(values.sum(axis=-1) - 1.0) <= TOLERANCE)


def within(y: Any, valid: Any, loss: str, highest: float) -> None:
    """ValueError unless valid entries lie between 0 and `highest`."""
    values = as_numpy("y", y)
    wrong = ((values < 0) | (values > highest)).any(axis=-1)
    most = "" if highest == np.inf else f" and at most {highest:g}"
    check_rows(values, wrong, valid, f"{loss} expected numbers of at least 0{most}")


def one_of(y: Any, valid: Any, metric: str) -> None:
    """ValueError unless each valid row names one class: one entry high, the others low, with the same two values in all
    rows (1 and 0, for example); or probabilities."""
    values = as_numpy("y", y)
    levels = np.unique(values[counting(values, valid)])
    named = (values == levels.max()).sum(axis=-1) == 1 if 0 < len(levels) <= 2 else distributed(values)
    check_rows(values, ~named, valid, f"metric {metric!r} expected targets that name a class, such as one-hot rows")


def check_rows(values: np.ndarray, wrong: Any, valid: Any, expected: str) -> None:
    """ValueError for the first valid row that is wrong."""
    if valid is not None:
        wrong = wrong & (as_numpy("mask", valid) != 0)
    if wrong.any():
        row = values[first(wrong)]
        raise ValueError(f"y{list(first(wrong))} is {np.array2string(row, threshold=6)}: {expected}")
