"""The constants of a cell: one number, or one per neuron, checked and kept as Python floats."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from neko.backend.protocol import Backend
from neko.cells.learnable import Learnable
from neko.cells.values import numbers

Constant = float | tuple[float, ...] | Learnable
Check = Callable[[str, Any, int | None], Constant]


class Range(NamedTuple):
    """The values that a constant may have, and the map that keeps one that learns among them."""

    expected: str
    holds: Callable[[float], bool]
    map: str


POSITIVE = Range("a finite value above 0", lambda v: v > 0.0, "exp")
NOT_NEGATIVE = Range("a finite value of at least 0", lambda v: v >= 0.0, "softplus")
FINITE = Range("a finite value", lambda v: True, "sum")


def settle(owner: Any, units: int | None, check: Check, *names: str) -> None:
    """Replace fields of a frozen dataclass by their checked values; with `units` None, one number only is accepted."""
    for name in names:
        object.__setattr__(owner, name, check(name, getattr(owner, name), units))


def positive(name: str, value: Any, units: int | None) -> Constant:
    """A constant above 0, one number or one per neuron, as `constant` returns it and with its errors."""
    return constant(name, value, units, POSITIVE)


def leak(name: str, value: Any, units: int | None) -> Constant:
    """As `positive`, of a time constant that may be infinite for all neurons."""
    return math.inf if numbers(value) == ((math.inf,), True) else positive(name, value, units)


def not_negative(name: str, value: Any, units: int | None) -> Constant:
    """As `positive`, of a constant that may be 0."""
    return constant(name, value, units, NOT_NEGATIVE)


def finite(name: str, value: Any, units: int | None) -> Constant:
    """As `positive`, of a constant that may be any finite number."""
    return constant(name, value, units, FINITE)


def flag(name: str, value: Any, units: int | None = None) -> bool:
    """A Python or NumPy bool as Python's; TypeError for anything else, whose truth value may be unintended."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name}={value!r}: expected True or False")
    return bool(value)


def constant(name: str, value: Any, units: int | None, range: Range) -> Constant:
    """A float, or a tuple of one per neuron, from a number, a sequence or an array of any framework; always a copy.

    A `Learnable` is returned with the map of the range. TypeError for a trainable parameter of a framework, and for a
    constant that learns but is not the neurons'; ValueError for numbers out of range, or of another count than neurons.
    """
    refuse_trainable(name, value)
    if isinstance(value, Learnable):
        fixed(name, value, None if units is not None else "it is not a constant of neurons")
        placed = value.placed(units or 1, range.map)
        for given in (placed.value, *placed.bounds):
            constant(name, given, units, range)
        return placed
    form = "one number" if units is None else "one number or one per neuron"
    entries, single = numbers(value)
    if not single and entries and units is not None and len(entries) != units:
        raise ValueError(f"{name} has {len(entries)} entries: expected {form}, of which there are {units}")
    if not entries or (not single and units is None) or not all(math.isfinite(v) and range.holds(v) for v in entries):
        raise ValueError(f"{name}={value!r}: expected {range.expected}, {form}")
    return entries[0] if single else entries


def fixed(name: str, value: Any, reason: str | None) -> None:
    """TypeError with the reason for a constant that learns, if there is a reason."""
    if reason and isinstance(value, Learnable):
        raise TypeError(f"{name}={value!r} cannot learn: {reason}; expected a number")


def refuse_trainable(name: str, value: Any) -> None:
    """TypeError for a trainable parameter of a framework, alone or in a list, which no rule would train."""
    for part in (value, *(value if isinstance(value, list | tuple) else ())):
        variable = hasattr(part, "assign") and getattr(part, "trainable", False)
        if variable or getattr(part, "requires_grad", False):
            raise TypeError(
                f"{name} is a trainable {type(part).__name__}: the parameters of a model are its own; pass the number, "
                f"as {name}=5.0, or as {name}=Learnable(5.0) for a constant that learns"
            )


def kept(name: str, value: Any, units: int) -> Any:
    """A field of a user's cell: NumPy scalars as Python's, arrays and lists as copies, a `Learnable` for any finite
    value; TypeError for a trainable parameter of a framework."""
    refuse_trainable(name, value)
    if isinstance(value, Learnable):
        return finite(name, value, units)
    if isinstance(value, np.generic):
        return value.item()
    return copy.deepcopy(value) if hasattr(value, "shape") or isinstance(value, list | dict) else value


def decay(xp: Backend, dt: float, tau: Any) -> Any:
    """Decay factor of one step, ``exp(-dt / tau)``; `tau` in ms, a number or one per neuron. Its derivative is that of
    the same formula, for a constant that learns."""
    if isinstance(tau, int | float):
        return math.exp(-dt / tau)
    return xp.exp(-dt / per_neuron(xp, tau))


def at_first(xp: Backend, value: Any) -> Any:
    """As `per_neuron`, for `initial_state`: a constant that learns by its first value."""
    return per_neuron(xp, value.value if isinstance(value, Learnable) else value)


def extent(value: Any) -> tuple[Any, Any]:
    """The least and the largest value that a constant can take."""
    if not isinstance(value, Learnable):
        return np.asarray(value), np.asarray(value)
    least, largest = value.bounds or (-math.inf, math.inf)
    return least, largest


def per_neuron(xp: Backend, value: Any) -> Any:
    """A constant for `dynamics`: a number unchanged, a sequence as an array (n,) of floats.

    TypeError for a constant that learns, which has a value in a network only.
    """
    if isinstance(value, Learnable):
        raise TypeError(f"{value!r} has a value in a network only: expected a cell of neko.cells.learnable.bound")
    return value if isinstance(value, int | float) else xp.asarray(value, dtype=xp.dtype)
