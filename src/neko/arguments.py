"""Checks of arguments: numbers, choices, lists and paths. Errors name the argument, its value and what was expected."""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np


def is_real(value: Any) -> bool:
    """Whether a value is a finite real number of Python or NumPy; a bool is not."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond all floating-point numbers
        return False


def plain(value: Any) -> Any:
    """A NumPy scalar as a Python number; anything else unchanged."""
    return value.item() if isinstance(value, np.generic) else value


def check_number(name: str, value: Any, *, positive: bool = False) -> float:
    """The value as a Python number; ValueError unless it is finite and not negative, or, with `positive`, above 0."""
    if not (is_real(value) and (value > 0 if positive else value >= 0)):
        raise ValueError(f"{name}={value!r}: expected a finite number {'above 0' if positive else '>= 0'}")
    number: float = plain(value)
    return number


def check_integer(name: str, value: Any, *, least: int = 1) -> int:
    """The value as a Python integer; ValueError unless it is an integer of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        expected = "a positive integer" if least == 1 else f"an integer of at least {least}"
        raise ValueError(f"{name}={value!r}: expected {expected}")
    return int(value)


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """ValueError unless the value is one of the choices."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name}={value!r}: expected one of {choices!r}")


def check_known(kind: str, given: Iterable[Any], names: Sequence[str]) -> None:
    """ValueError, with the nearest names, unless all that are given are among the names of a kind."""
    unknown = [name for name in given if name not in names]
    if unknown:
        near = [found for name in unknown for found in difflib.get_close_matches(str(name), names, 1)]
        hint = f"; did you mean {' and '.join(map(repr, near))}?" if near else ""
        told = ", ".join(map(repr, unknown))
        raise ValueError(f"{kind}{'s' if len(unknown) > 1 else ''} {told}: expected one of {[*names]}{hint}")


def as_list(name: str, value: Any, example: str) -> list[Any]:
    """The elements as a list; TypeError for a string or anything that is not iterable."""
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise TypeError(f"{name}={value!r}: expected a list, for example {example}")
    return list(value)


def as_path(name: str, value: Any) -> Path:
    """The value as a path; TypeError for anything else."""
    if not isinstance(value, str | Path) or not str(value):
        raise TypeError(f"{name}={value!r}: expected a path, for example 'runs/first'")
    return Path(value)


def of_constructor(kind: type) -> dict[str, inspect.Parameter]:
    """The named arguments of a class's constructor and of its base classes, to which it passes ``**options``."""
    found: dict[str, inspect.Parameter] = {}
    for c in kind.__mro__:
        own = vars(c).get("__init__")
        if own is not None and c is not object:
            for name, parameter in inspect.signature(own).parameters.items():
                if parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD):
                    found.setdefault(name, parameter)
    return found
