"""Priors of parameters."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Protocol

import numpy as np

from neko.arguments import check_number, plain
from neko.backend.protocol import Backend
from neko.typing import Array


class Prior(Protocol):
    """A density over the entries of a parameter, independent of each other."""

    def logdensity_and_gradient(self, xp: Backend, w: Array) -> tuple[Array, Array]:
        """log p(w), up to a constant, and its gradient."""

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Entries of the prior: where a chain starts."""


@dataclass(frozen=True)
class Scaled:
    """A prior with a scale above 0."""

    scale: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", check_number("scale", self.scale, positive=True))


class Normal(Scaled):
    """``log p(w) = -Σ w² / 2σ² + const`` with the standard deviation σ, `scale`."""

    def logdensity_and_gradient(self, xp: Backend, w: Array) -> tuple[Array, Array]:
        """log p(w) and its gradient."""
        return -0.5 * self.precision * xp.sum(xp.square(w)), -self.precision * w

    def entries(self, xp: Backend, w: Array) -> Array:
        """log p of each entry, up to a constant."""
        return -0.5 * self.precision * xp.square(w)

    @property
    def precision(self) -> float:
        """1 / variance."""
        return self.scale**-2

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Entries of the prior."""
        return rng.normal(0.0, self.scale, shape)


class Laplace(Scaled):
    """``log p(w) = -Σ |w| / b + const`` with `scale` b; few large weights. Its gradient at 0 is 0."""

    def logdensity_and_gradient(self, xp: Backend, w: Array) -> tuple[Array, Array]:
        """log p(w) and its gradient."""
        return -xp.sum(xp.abs(w)) / self.scale, -xp.sign(w) / self.scale

    def entries(self, xp: Backend, w: Array) -> Array:
        """log p of each entry, up to a constant."""
        return -xp.abs(w) / self.scale

    @property
    def precision(self) -> float:
        """1 / variance."""
        return 0.5 * self.scale**-2

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Entries of the prior."""
        return rng.laplace(0.0, self.scale, shape)


def resolve(prior: Any, params: dict[str, Any]) -> dict[str, Prior]:
    """A prior for each parameter, from one for all, where a number is the scale of a `Normal`, or a dict from names or
    patterns such as ``'readout.*'`` to these, of which the first that matches is used. ValueError for a parameter
    without a prior, or a pattern that matches none."""
    if not isinstance(prior, dict):
        return dict.fromkeys(params, one(prior))
    return {name: one(value) for name, value in by_pattern("prior", prior, params).items()}


def by_pattern(what: str, given: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    """The value of each parameter from those by name or pattern, of which the first that matches is used. ValueError,
    with `what` they are, for a parameter without a value, or a pattern that matches none."""
    idle = [pattern for pattern in given if not fnmatch.filter(params, pattern)]
    if idle:
        raise ValueError(f"{what} for {idle!r}: expected names or patterns of {sorted(params)!r}")
    result = {}
    for name in params:
        fitting = [value for pattern, value in given.items() if fnmatch.fnmatchcase(name, pattern)]
        if not fitting:
            raise ValueError(f"no {what} for {name!r}: give one by its name, or for '*'")
        result[name] = fitting[0]
    return result


def checked(prior: Any) -> Any:
    """A prior, or a dict of priors by name or pattern, with numbers as scales of a `Normal`; ValueError or TypeError
    for anything else."""
    if not isinstance(prior, Mapping):
        return one(prior)
    if not prior or not all(isinstance(pattern, str) for pattern in prior):
        raise TypeError(
            f"prior={prior!r}: expected priors by names or patterns of parameters, for example {{'*': 1.0}}"
        )
    return {pattern: one(value) for pattern, value in prior.items()}


def one(prior: Any) -> Prior:
    """A prior; a number is the scale of a `Normal`."""
    if hasattr(prior, "logdensity_and_gradient") and not isinstance(prior, type):
        return prior
    if isinstance(prior, Real) and not isinstance(prior, bool):
        return Normal(plain(prior))
    raise TypeError(f"prior={prior!r}: expected a prior such as Normal(0.5), or its standard deviation")
