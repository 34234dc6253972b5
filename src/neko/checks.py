"""What is looked at before data reach a model: the bad value, where it is, and what was expected."""

from __future__ import annotations

from typing import Any

import numpy as np

TOLERANCE = 1e-3
"""By how much probabilities may miss the sum 1."""


def as_numpy(name: str, a: Any) -> np.ndarray:
    """An array of any framework on the host; TypeError for what holds no numbers."""
    host = a.detach().cpu() if hasattr(a, "detach") else a
    try:
        found = np.asarray(host)
    except (ValueError, TypeError) as error:
        raise TypeError(
            f"{name} is {type(a).__name__}: expected an array of numbers, its rows of equal length"
        ) from error
    if found.dtype.kind not in "fiub":
        raise TypeError(f"{name} has dtype {found.dtype}: expected real numbers, all rows of equal length")
    return found if found.dtype.isnative else found.astype(found.dtype.newbyteorder("="))


def first(bad: Any) -> tuple[int, ...]:
    """Index of the first True."""
    return tuple(int(i) for i in np.unravel_index(int(bad.argmax()), bad.shape))


def finite(name: str, a: Any) -> None:
    """ValueError for an array with an entry that is infinite or not a number."""
    values = as_numpy(name, a)
    if values.dtype.kind != "f":
        return
    # A finite sum has finite terms, and is found twice as fast as every entry is looked at.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(np.sum(values)):
            return
    bad = np.logical_not(np.isfinite(values))
    if bad.any():
        where = first(bad)
        place = f"[{', '.join(map(str, where))}]" if where else ""
        raise ValueError(f"{name}{place} is {values[where]}: expected finite numbers; mask or fill what is missing")


def mask(a: Any) -> None:
    """ValueError for a mask with other entries than 0 and 1, or a sequence without a valid frame."""
    values = as_numpy("mask", a)
    bad = (values != 0) & (values != 1)
    if bad.any():
        raise ValueError(f"mask{list(first(bad))} is {values[first(bad)]}: expected 0 at padded frames, else 1")
    empty = ~values.any(axis=-1)
    if empty.any():
        raise ValueError(f"mask[{first(empty)[0]}] is 0 everywhere: expected a valid frame in every sequence")


def classes(y: Any, count: int) -> None:
    """ValueError unless all entries are integers from 0 to count - 1."""
    values = as_numpy("y", y)
    if values.size and not 0 <= values.min() <= values.max() < count:
        raise ValueError(f"y has classes {values.min()} to {values.max()}: expected 0 to {count - 1}")
    if values.dtype.kind == "f" and (values != np.floor(values)).any():
        where = first(values != np.floor(values))
        raise ValueError(f"y{list(where)} is {values[where]}: expected class numbers, which are integers")


def distribution(y: Any, valid: Any, loss: str) -> None:
    """ValueError unless rows (the last axis) are probabilities, wherever `valid` is not 0."""
    values = as_numpy("y", y)
    wrong = (values < 0).any(axis=-1) | (np.abs(values.sum(axis=-1) - 1.0) > TOLERANCE)
    if valid is not None:
        wrong &= as_numpy("mask", valid) != 0
    if wrong.any():
        row = values[first(wrong)]
        raise ValueError(
            f"y{list(first(wrong))} is {np.array2string(row, threshold=6)}: {loss} expected one-hot rows, or "
            "probabilities with sum 1"
        )
