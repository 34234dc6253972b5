"""Selects the output of what a module returns, and recognises by its values whether it is a probability."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from neko.typing import Array

Selector = int | str | Callable[[Any], Any] | None
"""Position, key or function of what a module returns; None where it returns one array."""
EXAMPLE = "for example Evaluator(module, loss, output=0)"


def check(output: Any) -> None:
    """TypeError for what cannot select an output."""
    if output is not None and (isinstance(output, bool) or not (isinstance(output, int | str) or callable(output))):
        raise TypeError(f"output={output!r}: expected a position, a key or a function of what the module returns")


def select(model: Any, raw: Any) -> Array:
    """The output array out of what a module returned; TypeError or ValueError, which describes what was returned, where
    that is more than one array and none is selected, or the selected one does not exist."""
    output, found = model.output, raw
    single = model.xp.owns(raw)
    if isinstance(output, int | str):
        if single:
            raise ValueError(f"output={output!r}: {model!r} returns one array, {described(raw)}; leave output out")
        try:
            # A record (a dict with attributes, a NamedTuple) is accessed either way.
            named = isinstance(output, str) and not isinstance(raw, Mapping)
            found = getattr(raw, str(output)) if named else raw[output]
        except (IndexError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"output={output!r}: {model!r} returns {described(raw)}") from error
    elif output is not None:
        found = output(raw)
    if not model.xp.owns(found):
        chosen = "" if output is None else f", of which output={output!r} gives {described(found)}"
        raise TypeError(
            f"{model!r} returns {described(raw)}{chosen}: expected one array; choose it by position, key or function "
            f"with output=…, {EXAMPLE}"
        )
    return found


def described(value: Any) -> str:
    """The type of a value, with the shapes of the arrays in it."""
    if isinstance(value, Mapping):
        return "a dict {" + ", ".join(f"{key!r}: {described(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, tuple | list):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return f"a {kind} ({', '.join(described(entry) for entry in value)})"
    if hasattr(value, "shape"):
        return f"an array {tuple(value.shape)!r}"
    return type(value).__name__


def by_value(y: np.ndarray, half: bool) -> str | None:
    """'softmax' or 'log_softmax' where every row of the outputs is a distribution over classes, or its logarithm.

    Other outputs would pass by chance only: the sum of a row may differ from 1 by 1e-4, of a single row by 1e-6, and
    in half precision, which has two or three digits, by 1e-2.
    """
    rows = y.reshape(-1, y.shape[-1]).astype(np.float64)
    if rows.shape[1] < 2 or np.ptp(rows) == 0.0:
        return None
    tolerance = 1e-2 if half else 1e-4 if len(rows) > 1 else 1e-6

    def distributions(p: np.ndarray) -> bool:
        return bool((p >= 0.0).all() and (np.abs(p.sum(axis=1) - 1.0) <= tolerance).all())

    if distributions(rows):
        return "softmax"
    return "log_softmax" if (rows <= 0.0).all() and distributions(np.exp(rows)) else None


def bounded(y: np.ndarray) -> bool:
    """Whether every entry lies strictly between 0 and 1."""
    return bool((y > 0.0).all() and (y < 1.0).all())
