"""The constants of a cell: one number, or one per neuron, checked and kept as Python floats."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np

from neko.backend.protocol import Backend

Check = Callable[[str, Any, int | None], "float | tuple[float, ...]"]


def settle(owner: Any, units: int | None, check: Check, *names: str) -> None:
    """Replace fields of a frozen dataclass by their checked values; with `units` None, one number only is accepted."""
    for name in names:
        object.__setattr__(owner, name, check(name, getattr(owner, name), units))


def positive(name: str, value: Any, units: int | None) -> float | tuple[float, ...]:
    return constant(name, value, units, "a finite value above 0", lambda v: v > 0.0)


def not_negative(name: str, value: Any, units: int | None) -> float | tuple[float, ...]:
    return constant(name, value, units, "a finite value of at least 0", lambda v: v >= 0.0)


def finite(name: str, value: Any, units: int | None) -> float | tuple[float, ...]:
    return constant(name, value, units, "a finite value", lambda v: True)


def flag(name: str, value: Any, units: int | None = None) -> bool:
    """A Python or NumPy bool as Python's; TypeError for anything else, whose truth value may be unintended."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name}={value!r}: expected True or False")
    return bool(value)


def constant(
    name: str, value: Any, units: int | None, expected: str, holds: Callable[[float], bool]
) -> float | tuple[float, ...]:
    """A float, or a tuple of one per neuron, from a number, a sequence or an array of any framework; always a copy.

    TypeError for a trainable parameter; ValueError for numbers not as `expected`, or of another count than neurons.
    """
    refuse_trainable(name, value)
    form = "one number" if units is None else "one number or one per neuron"
    entries, single = numbers(value)
    if not single and entries and units is not None and len(entries) != units:
        raise ValueError(f"{name} has {len(entries)} entries: expected {form}, of which there are {units}")
    if not entries or (not single and units is None) or not all(math.isfinite(v) and holds(v) for v in entries):
        raise ValueError(f"{name}={value!r}: expected {expected}, {form}")
    return entries[0] if single else entries


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


def refuse_trainable(name: str, value: Any) -> None:
    """TypeError for a trainable parameter of a framework, alone or in a list: no rule trains a constant."""
    for part in (value, *(value if isinstance(value, list | tuple) else ())):
        variable = hasattr(part, "assign") and getattr(part, "trainable", False)
        if variable or getattr(part, "requires_grad", False):
            raise TypeError(
                f"{name} is a trainable {type(part).__name__}: constants of a cell do not learn yet; pass the numbers, "
                f"for example {name}=5.0"
            )


def kept(name: str, value: Any) -> Any:
    """A field of a user's cell: NumPy scalars as Python's, arrays and lists as copies; TypeError if it is trainable."""
    refuse_trainable(name, value)
    if isinstance(value, np.generic):
        return value.item()
    return copy.deepcopy(value) if hasattr(value, "shape") or isinstance(value, list | dict) else value


def decay(xp: Backend, dt: float, tau: Any) -> Any:
    """Decay factor of one step, ``exp(-dt / tau)``; `tau` in ms, a number or one per neuron."""
    if isinstance(tau, int | float):
        return math.exp(-dt / tau)
    return xp.exp(-dt / per_neuron(xp, tau))


def per_neuron(xp: Backend, value: Any) -> Any:
    """A constant for `dynamics`: a number unchanged, a sequence as an array (n,) of floats."""
    return value if isinstance(value, int | float) else xp.asarray(value, dtype=xp.dtype)


def shown(value: Any) -> str:
    """A constant for `repr`: a long sequence by its ends."""
    if not isinstance(value, tuple) or len(value) <= 6:
        return repr(value)
    return f"({value[0]!r}, {value[1]!r}, …, {value[-1]!r})"
