"""Discontinuous Hamiltonian Monte Carlo."""

from __future__ import annotations

from typing import Any, NamedTuple

from neko.backend.protocol import Backend
from neko.samplers.mass import flat, unflat
from neko.samplers.proposals import Position, Target, scales
from neko.typing import Array


class State(NamedTuple):
    """Position of the chain, with the log density there."""

    position: Position
    logdensity: Array


class Info(NamedTuple):
    """The share of the moves of single coordinates that went through; the others turned back. Every trajectory is
    accepted, since its energy is conserved."""

    acceptance_probability: Array


def init(xp: Backend, position: Position, target: Target) -> State:
    """The state at a position; `target` returns the log density there (up to a constant) and a drift, not used."""
    return State(position, target(position)[0])


def step(
    xp: Backend,
    key: Array,
    state: State,
    target: Target,
    step_size: Array,
    *,
    steps: int,
    mass: dict[str, Any] | None = None,
    jitter: float = 0.2,
) -> tuple[State, Info]:
    r"""One trajectory, coordinate by coordinate, for a density that may jump anywhere.

    .. math::
        H(θ, p) = U(θ) + \sum_i |p_i| / m_i, \qquad U = -\log π, \qquad p_i \sim Laplace(0, m_i)

    In each of `steps` steps each coordinate, in a random order, moves by :math:`ε\, sign(p_i) / m_i`, and pays for it:

    .. math::
        p_i ← p_i - m_i\, sign(p_i)\, ΔU \quad \text{where } |p_i| / m_i > ΔU, \qquad
        \text{else it stays, with } p_i ← -p_i

    Each move conserves the energy and the volume whatever U is, so that no trajectory is ever rejected. The reversed
    order is as probable as the order itself, so that the chain is reversible. With a fixed ε all moves of a coordinate
    were multiples of ε / m_i, and the chain could not reach the positions between: ε is drawn anew for a trajectory.

    Parameters
    ----------
    key, state, target
        As for `neko.samplers.langevin.step`; the drift is not used. The log density is evaluated once for every
        coordinate in each step: where its change with one coordinate is not cheap, this is for few parameters only.
    step_size : Array
        Largest ε. The share of moves that go through should be 0.7 to 0.9.
    steps : int
        Steps in a trajectory.
    mass : dict of str to float or array, optional
        m by parameter, 1 where it is not given; in proportion to 1 / the standard deviation is best.
    jitter : float
        ε is uniform between 1 - jitter and 1 times `step_size`, jitter above 0 and up to 1.

    References
    ----------
    Nishimura, Dunson & Lu (2020), doi:10.1093/biomet/asz083, with Laplace momenta for all coordinates; their mixed form
    has normal momenta and gradients for those in which the density is smooth.
    """
    keys = xp.unstack(xp.random.split(key, 4))
    n = int(flat(xp, state.position).shape[0])
    magnitude = -xp.log1p(-xp.random.uniform(keys[0], (n, 1)))
    sign = xp.where(xp.random.uniform(keys[1], (n, 1)) < 0.5, xp.full((), -1.0), xp.full((), 1.0))
    momentum = unflat(xp, column_of_mass(xp, state.position, mass) * sign * magnitude, state.position)
    order = xp.reshape(xp.argsort(xp.random.uniform(keys[2], (steps, n)), axis=-1), (steps * n,))
    epsilon = step_size * (1.0 - jitter * xp.random.uniform(keys[3], ()))
    state, _, moved = trajectory(xp, order, state, momentum, target, epsilon, mass=mass)
    return state, Info(moved)


def trajectory(
    xp: Backend,
    order: Array,
    state: State,
    momentum: Position,
    target: Target,
    step_size: Array,
    *,
    mass: dict[str, Any] | None = None,
) -> tuple[State, Position, Array]:
    """State, momentum, and the share of moves that went through, after the coordinates with the numbers `order`
    (moves,), counted over the parameters in the order of names. With negated momentum and reversed order it runs
    backward."""
    like = state.position
    m = column_of_mass(xp, like, mass)
    numbers = xp.expand_dims(xp.arange(int(m.shape[0]), dtype=order.dtype), axis=1)

    def move(carry: tuple[Array, Array, Array], i: Array) -> tuple[tuple[Array, Array, Array], Array]:
        position, p, logdensity = carry
        way = xp.where(numbers == i, xp.sign(p), xp.zeros(()))  # a coordinate alone
        ahead = position + step_size * way / m
        found, _ = target(unflat(xp, ahead, like))
        rise = logdensity - found
        passes = xp.logical_and(xp.isfinite(rise), xp.sum(xp.abs(way) * xp.abs(p) / m) > rise)
        p = xp.where(passes, p - m * way * rise, xp.where(way == 0.0, p, -p))
        carry = xp.where(passes, ahead, position), p, xp.where(passes, found, logdensity)
        return carry, xp.astype(passes, logdensity.dtype)

    start = (flat(xp, like), flat(xp, momentum), state.logdensity)
    (position, p, logdensity), passed = xp.scan(move, start, order)
    return State(unflat(xp, position, like), logdensity), unflat(xp, p, like), xp.mean(passed)


def column_of_mass(xp: Backend, position: Position, mass: dict[str, Any] | None) -> Array:
    """m of every coordinate, (coordinates, 1)."""
    m = scales(xp, position, mass)
    return flat(xp, {name: m[name] * xp.ones_like(w) for name, w in position.items()})
