r"""The mass of Hamiltonian Monte Carlo: a positive definite matrix M = L L^T over all entries of the position.

Each form draws a momentum, :math:`p = L ξ \sim N(0, M)`, and turns one into a velocity, :math:`M^{-1} p`. The best mass
is the inverse of the target's covariance. Forms are trees of arrays, so that a compiled step may take them as an
argument.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Protocol

from neko.backend.protocol import Backend
from neko.samplers.proposals import Position, normals, scales
from neko.typing import Array


class Mass(Protocol):
    """A form of M."""

    def draw(self, xp: Backend, key: Array, position: Position) -> Position:
        """A momentum of N(0, M), of the position's shapes."""

    def velocity(self, xp: Backend, momentum: Position) -> Position:
        """M⁻¹ p."""


class Diagonal(NamedTuple):
    """M is diagonal: `mass` by parameter, one number or one for each entry, above 0; 1 where it is not given."""

    mass: dict[str, Any]

    def draw(self, xp: Backend, key: Array, position: Position) -> Position:
        """p = √m ξ."""
        m = scales(xp, position, self.mass)
        return {name: m[name] ** 0.5 * noise for name, noise in normals(xp, key, position).items()}

    def velocity(self, xp: Backend, momentum: Position) -> Position:
        """p / m."""
        m = scales(xp, momentum, self.mass)
        return {name: p / m[name] for name, p in momentum.items()}


class Rows(NamedTuple):
    """M couples the rows of a parameter (rows, …) by one matrix, the same for all its columns; parameters are
    independent. `factor` has by parameter the lower Cholesky factor of that matrix, (rows, rows); where it is not given
    the mass is 1."""

    factor: dict[str, Array]

    def draw(self, xp: Backend, key: Array, position: Position) -> Position:
        """p = L ξ, column by column."""

        def drawn(name: str, noise: Array) -> Array:
            return noise if name not in self.factor else by_columns(xp, lambda p: self.factor[name] @ p, noise)

        return {name: drawn(name, noise) for name, noise in normals(xp, key, position).items()}

    def velocity(self, xp: Backend, momentum: Position) -> Position:
        """L⁻ᵀ L⁻¹ p, column by column."""

        def of(name: str, p: Array) -> Array:
            return p if name not in self.factor else by_columns(xp, lambda a: solved(xp, self.factor[name], a), p)

        return {name: of(name, p) for name, p in momentum.items()}


class Dense(NamedTuple):
    """M couples all entries of the position: `factor` is its lower Cholesky factor, for parameters in the order of
    names, each in the order of its entries."""

    factor: Array

    def draw(self, xp: Backend, key: Array, position: Position) -> Position:
        """p = L ξ."""
        return unflat(xp, self.factor @ flat(xp, normals(xp, key, position)), position)

    def velocity(self, xp: Backend, momentum: Position) -> Position:
        """L⁻ᵀ L⁻¹ p."""
        return unflat(xp, solved(xp, self.factor, flat(xp, momentum)), momentum)


def of(given: Mass | dict[str, Any] | None) -> Mass:
    """A mass; a dict is diagonal, None is 1."""
    return Diagonal({} if given is None else given) if given is None or isinstance(given, dict) else given


def kinetic_change(xp: Backend, mass: Mass, before: Position, after: Position) -> Array:
    """The kinetic energy ½ pᵀ M⁻¹ p after minus that before: as a product, since the difference of two sums over a
    million weights would lose precision."""
    velocity = mass.velocity(xp, {name: p + before[name] for name, p in after.items()})
    change = xp.zeros(())
    for name, v in velocity.items():
        change = change + 0.5 * xp.sum((after[name] - before[name]) * v)
    return change


def solved(xp: Backend, factor: Array, p: Array) -> Array:
    """M⁻¹ p of columns."""
    half = xp.solve_triangular(factor, p, lower=True)
    return xp.solve_triangular(xp.matrix_transpose(factor), half, lower=False)


def by_columns(xp: Backend, f: Any, x: Array) -> Array:
    """A function of a matrix for an array of any number of axes, all but the first as one."""
    shape = tuple(x.shape)
    return xp.reshape(f(xp.reshape(x, (shape[0], math.prod(shape[1:])))), shape)


def flat(xp: Backend, position: Position) -> Array:
    """All entries as a column, (entries, 1), in the order of names."""
    return xp.concat([xp.reshape(position[name], (-1, 1)) for name in sorted(position)], axis=0)


def unflat(xp: Backend, column: Array, like: Position) -> Position:
    """The inverse of `flat`."""
    parts, begin = {}, 0
    for name in sorted(like):
        shape = tuple(like[name].shape)
        end = begin + math.prod(shape)
        parts[name] = xp.reshape(column[begin:end], shape)
        begin = end
    return {name: parts[name] for name in like}
