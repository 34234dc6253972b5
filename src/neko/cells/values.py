"""Numbers from values of any kind: Python's, sequences, and arrays of any framework."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np


def numbers(value: Any) -> tuple[tuple[float, ...], bool]:
    """The numbers in a value, empty if it holds anything else, and whether it is a single one."""
    if isinstance(value, Real):
        return (() if isinstance(value, bool) else (float(value),)), True
    try:
        if isinstance(value, list | tuple) and any(isinstance(v, bool | np.bool_) for v in value):
            return (), False
        if np.ma.is_masked(value):
            return (), False
        found = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    except (TypeError, ValueError, RuntimeError):
        return (), False
    if found.dtype.kind not in "fiu" or found.ndim > 1:
        return (), False
    return tuple(float(v) for v in found.ravel()), found.ndim == 0


def shown(value: Any) -> str:
    """A constant for `repr`: a long sequence by its ends."""
    if not isinstance(value, tuple) or len(value) <= 6:
        return repr(value)
    return f"({value[0]!r}, {value[1]!r}, …, {value[-1]!r})"
