"""Random-walk Metropolis."""

from __future__ import annotations

from typing import Any, NamedTuple

from neko.backend.protocol import Backend
from neko.backend.update import choose
from neko.samplers.proposals import Position, Target, accept, normals, scales
from neko.typing import Array


class State(NamedTuple):
    """Position of the chain, with the log density there."""

    position: Position
    logdensity: Array


class Info(NamedTuple):
    """The probability of acceptance, and whether the proposal was accepted."""

    acceptance_probability: Array
    accepted: Array


def init(xp: Backend, position: Position, target: Target) -> State:
    """The state at a position; `target` returns the log density there (up to a constant) and a drift, not used."""
    return State(position, target(position)[0])


def step(
    xp: Backend, key: Array, state: State, target: Target, step_size: Array, *, scale: dict[str, Any] | None = None
) -> tuple[State, Info]:
    r"""One step.

    .. math::
        θ' = θ + ε s ξ, \quad ξ \sim N(0, 1), \qquad α = \min(1, π(θ') / π(θ))

    A proposal whose log density is not finite is rejected. In d dimensions ε has to fall with :math:`d^{-1/2}`, so that
    the chain needs of the order of d steps to forget where it was.

    Parameters
    ----------
    key, state, target
        As for `neko.samplers.langevin.step`; the drift is not used.
    step_size : Array
        ε.
    scale : dict of str to float or array, optional
        s by parameter, 1 where it is not given.

    References
    ----------
    Metropolis et al. (1953), doi:10.1063/1.1699114; the choice of ε: Roberts, Gelman & Gilks (1997),
    doi:10.1214/aoap/1034625254.
    """
    key_noise, key_accept = xp.unstack(xp.random.split(key))
    proposal = propose(xp, key_noise, state.position, step_size, scale=scale)
    logdensity, _ = target(proposal)
    probability, accepted = accept(xp, key_accept, logdensity - state.logdensity)
    return choose(xp, accepted, State(proposal, logdensity), state), Info(probability, accepted)


def propose(
    xp: Backend, key: Array, position: Position, step_size: Array, *, scale: dict[str, Any] | None = None
) -> Position:
    """The proposal alone; a step size of several entries broadcasts against each parameter."""
    s = scales(xp, position, scale)
    noise = normals(xp, key, position)
    return {name: w + step_size * s[name] * noise[name] for name, w in position.items()}
