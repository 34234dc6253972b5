"""What the samplers share: noise for a position, scales by parameter, the accept test."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from neko import containers
from neko.arguments import as_list
from neko.backend.protocol import Backend
from neko.typing import Array

Position = dict[str, Array]
"""Parameters by name."""
Target = Callable[[Position], tuple[Array, Position]]
"""From a position to the log density there, up to a constant, and the drift (or force)."""


def normals(xp: Backend, key: Array, position: Position) -> Position:
    """Standard normal numbers of the position's shapes, from a key per parameter in the order of names."""
    names = sorted(position)
    keys = xp.unstack(xp.random.split(key, len(names)))
    drawn = {name: xp.random.normal(k, tuple(position[name].shape)) for name, k in zip(names, keys, strict=True)}
    return {name: drawn[name] for name in position}


def scales(xp: Backend, position: Position, given: dict[str, Any] | None) -> dict[str, Any]:
    """A factor per parameter, a number or an array of the backend, 1 where none is given; ValueError for a name that
    is not a parameter."""
    given = {} if given is None else given
    unknown = sorted(given.keys() - position.keys())
    if unknown:
        raise ValueError(f"no parameters {unknown!r}: expected some of {sorted(position)!r}")
    factors = {n: f if isinstance(f, int | float) else xp.asarray(f, dtype=xp.dtype) for n, f in given.items()}
    return {name: factors.get(name, 1.0) for name in position}


def times(factor: Any, x: Array) -> Array:
    """``factor x``; x itself where the factor is the number 1, since an operation on a few weights costs much beside
    the little it computes."""
    return x if isinstance(factor, float) and factor == 1.0 else factor * x


def as_array(name: str, value: Any) -> np.ndarray:
    """Numbers of any framework as a NumPy array; TypeError for anything else."""
    return np.array(containers.as_numpy(name, value))


def check_scales(name: str, given: Any) -> dict[str, Any] | None:
    """Factors by parameter as numbers or NumPy arrays; TypeError or ValueError unless all are finite and above 0."""
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise TypeError(f"{name}={given!r}: expected a dict from parameters to numbers or arrays, or None")
    found = {}
    for parameter, value in given.items():
        values = as_array(f"{name}[{parameter!r}]", value)
        if values.dtype.kind == "b" or not (np.isfinite(values) & (values > 0)).all():
            raise ValueError(f"{name}[{parameter!r}]={value!r}: expected finite numbers above 0")
        found[parameter] = values.astype(np.float64) if values.ndim else float(values)
    return found


def check_names(name: str, given: Mapping[str, Any], position: Position, *, complete: bool = False) -> None:
    """ValueError unless `given` has names and shapes of parameters: with `complete` of all parameters, else a single
    number fits any shape."""
    unknown = sorted(set(given) - set(position))
    if unknown or (complete and len(given) < len(position)):
        some = "" if complete else "some of "
        raise ValueError(f"{name} has parameters {sorted(given)!r}: expected {some}{sorted(position)!r}")
    for parameter, value in given.items():
        shape, expected = np.shape(value), tuple(position[parameter].shape)
        if shape != expected and (complete or shape):
            alone = "" if complete else " or one number"
            raise ValueError(f"{name}[{parameter!r}] has shape {shape!r}: expected {expected!r}{alone}")


def check_starts(starts: Any) -> list[dict[str, np.ndarray]]:
    """Starts as NumPy arrays; TypeError or ValueError unless they are one dict of arrays or more."""
    found = as_list("starts", starts, "[model.params], one dict of arrays a chain")
    if isinstance(starts, Mapping) or not all(isinstance(start, Mapping) for start in found):
        raise TypeError(f"starts={starts!r}: expected a list with a dict of arrays a chain, for example [model.params]")
    if not found:
        raise ValueError("starts=[]: expected a dict of arrays for one chain or more, or None")
    return [{name: as_array(f"starts[{i}][{name!r}]", w) for name, w in start.items()} for i, start in enumerate(found)]


def accept(xp: Backend, key: Array, log_ratio: Array) -> tuple[Array, Array]:
    """``min(1, e^log_ratio)`` and whether a uniform number lies below it; NaN and infinity are never accepted."""
    return decide(xp, xp.random.uniform(key, ()), log_ratio)


def decide(xp: Backend, uniform: Array, log_ratio: Array) -> tuple[Array, Array]:
    """As `accept`, with the uniform number."""
    probability = xp.where(log_ratio < math.inf, xp.exp(xp.minimum(log_ratio, 0.0)), xp.zeros(()))
    return probability, uniform < probability
