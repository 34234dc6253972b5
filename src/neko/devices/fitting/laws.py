"""The constants of each law that a fit determines."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np

from neko.devices.base import Device

NODES = 5
"""Number of nodes of a piecewise step; the middle one is 1, so that the step is Δ at mid-range."""
STEPS, BOUNDS = ("step_up", "step_down"), ("g_min", "g_max")
NEVER_NEGATIVE = {"PowerStep", "PiecewiseStep"}
"""Laws whose constants are at least 0."""


class Constant(NamedTuple):
    """A constant of a law: its name, where a fit begins, and its smallest value. Its scale is 1."""

    name: str
    start: float
    least: float


def own(law: type[Device]) -> list[Constant]:
    """The constants of a law that `Device` does not have, from the defaults of its fields.

    Raises
    ------
    TypeError
        For a field that is neither a number nor a tuple of numbers.
    """
    least = 0.0 if law.__name__ in NEVER_NEGATIVE else -np.inf
    found = []
    for field in fields(law):
        if field.name in known():
            continue
        default: Any = field.default
        if isinstance(default, tuple):
            at = np.interp(np.linspace(0.0, 1.0, NODES), np.linspace(0.0, 1.0, len(default)), default)
            found += [Constant(f"{field.name}[{k}]", float(v), least) for k, v in enumerate(at) if k != NODES // 2]
        elif isinstance(default, int | float) and not isinstance(default, bool):
            found.append(Constant(field.name, float(default), least))
        else:
            raise TypeError(f"{law.__name__}.{field.name} = {default!r}: expected a number, to begin the fit with")
    return found


def known() -> set[str]:
    """Fields of every device."""
    return {field.name for field in fields(Device)}


def grouped(values: dict[str, Any]) -> dict[str, Any]:
    """Values by name, with ``name[k]`` put together as tuples whose middle is 1."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        field, bracket, place = name.partition("[")
        if bracket:
            nodes = found.setdefault(field, [1.0] * NODES)
            nodes[int(place[:-1])] = value
        else:
            found[name] = value
    return {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}
