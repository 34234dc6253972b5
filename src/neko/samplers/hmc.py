"""Hamiltonian Monte Carlo."""

from __future__ import annotations

from typing import Any, NamedTuple

from neko.backend.protocol import Backend
from neko.backend.update import choose
from neko.samplers import mass as masses
from neko.samplers.mass import Mass
from neko.samplers.proposals import Position, Target, accept
from neko.typing import Array


class State(NamedTuple):
    """Position of the chain, with the log density and the force there."""

    position: Position
    logdensity: Array
    force: Position


class Info(NamedTuple):
    """Acceptance of the step; `energy_error` is the change of the energy along the trajectory."""

    acceptance_probability: Array
    accepted: Array
    energy_error: Array


def init(xp: Backend, position: Position, target: Target) -> State:
    """The state at a position; `target` returns the log density there (up to a constant) and the force."""
    return State(position, *target(position))


def step(
    xp: Backend,
    key: Array,
    state: State,
    target: Target,
    step_size: Array,
    *,
    steps: int,
    mass: Mass | dict[str, Any] | None = None,
) -> tuple[State, Info]:
    r"""One trajectory of leapfrog steps, accepted by the exact change of the energy.

    .. math::
        H(θ, p) = -\log π(θ) + \tfrac12 p^T M^{-1} p, \qquad p \sim N(0, M), \qquad α = \min(1, e^{H - H'})

    The force should be ∇ log π; with another function of the position the leapfrog is still reversible and preserves
    volume, so that the accept test keeps π stationary. A trajectory whose end is not finite is rejected.

    Parameters
    ----------
    key, state, target
        As for `neko.samplers.langevin.step`; the drift is the force.
    step_size : Array
        ε of a leapfrog step.
    steps : int
        Leapfrog steps, one evaluation of the target each.
    mass : Mass or dict of str to float or array, optional
        M, of a form in `neko.samplers.mass`; a dict is its diagonal by parameter, 1 where it is not given.

    References
    ----------
    Duane et al. (1987), doi:10.1016/0370-2693(87)91197-X; Neal (2011), arXiv 1206.1901.
    """
    key_momentum, key_accept = xp.unstack(xp.random.split(key))
    m = masses.of(mass)
    momentum = m.draw(xp, key_momentum, state.position)
    proposed, after = leapfrog(xp, state, momentum, target, step_size, steps=steps, mass=m)
    change = masses.kinetic_change(xp, m, momentum, after)
    energy_error = change - (proposed.logdensity - state.logdensity)
    probability, accepted = accept(xp, key_accept, -energy_error)
    return choose(xp, accepted, proposed, state), Info(probability, accepted, energy_error)


def leapfrog(
    xp: Backend,
    state: State,
    momentum: Position,
    target: Target,
    step_size: Array,
    *,
    steps: int,
    mass: Mass | dict[str, Any] | None = None,
) -> tuple[State, Position]:
    """State and momentum after `steps` leapfrog steps; with negated momentum it runs backward."""
    m = masses.of(mass)

    def kick(momentum: Position, force: Position) -> Position:
        return {name: p + (0.5 * step_size) * force[name] for name, p in momentum.items()}

    def move(carry: tuple[State, Position], _: None) -> tuple[tuple[State, Position], None]:
        state, momentum = carry
        momentum = kick(momentum, state.force)
        velocity = m.velocity(xp, momentum)
        position = {name: w + step_size * velocity[name] for name, w in state.position.items()}
        state = State(position, *target(position))
        return (state, kick(momentum, state.force)), None

    (state, momentum), _ = xp.scan(move, (state, momentum), None, length=steps)
    return state, momentum
