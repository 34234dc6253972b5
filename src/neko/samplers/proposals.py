"""What the samplers share: noise for a position, scales by parameter, the accept test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from neko.typing import Array

Position = dict[str, Array]
"""Parameters by name."""
Target = Callable[[Position], tuple[Array, Position]]
"""From a position to the log density there, up to a constant, and the drift (or force)."""

LOWEST = -1e30
"""Log of a probability that is zero, and still a number on which every framework can compute."""


def normals(xp: Any, key: Array, position: Position) -> Position:
    """Standard normal numbers of the position's shapes, from a key per parameter in the order of names."""
    names = sorted(position)
    keys = xp.unstack(xp.random.split(key, len(names)))
    drawn = {name: xp.random.normal(k, tuple(position[name].shape)) for name, k in zip(names, keys, strict=True)}
    return {name: drawn[name] for name in position}


def scales(position: Position, given: dict[str, Any] | None) -> dict[str, Any]:
    """A factor per parameter, 1 where none is given; ValueError for a name that is no parameter."""
    given = {} if given is None else given
    unknown = sorted(given.keys() - position.keys())
    if unknown:
        raise ValueError(f"no parameters {unknown!r}: expected some of {sorted(position)!r}")
    return {name: given.get(name, 1.0) for name in position}


def accept(xp: Any, key: Array, log_ratio: Array) -> tuple[Array, Array]:
    """``min(1, e^log_ratio)`` and whether a uniform number lies below it; what is not a number is never accepted."""
    log_ratio = xp.where(xp.isfinite(log_ratio), log_ratio, xp.full((), LOWEST))
    probability = xp.exp(xp.minimum(log_ratio, 0.0))
    return probability, xp.random.uniform(key, ()) < probability
