"""Stochastic gradient Hamiltonian Monte Carlo."""

from __future__ import annotations

from typing import NamedTuple

from neko.backend.protocol import Backend
from neko.samplers.proposals import Position, Target, normals
from neko.typing import Array


class State(NamedTuple):
    """Position of the chain, and its momentum."""

    position: Position
    momentum: Position


class Info(NamedTuple):
    """The estimate of the log density before the step; there is no accept test."""

    logdensity: Array


def init(xp: Backend, position: Position, target: Target) -> State:
    """The state at a position, at rest; `target` is not evaluated before the first step."""
    return State(position, {name: xp.zeros_like(w) for name, w in position.items()})


def step(
    xp: Backend,
    key: Array,
    state: State,
    target: Target,
    step_size: Array | float,
    *,
    friction: float,
    noise: Array | float = 1.0,
) -> tuple[State, Info]:
    r"""One step, without an accept test.

    .. math::
        r' = (1 - α)\, r + \sqrt{ε}\, \hat g(θ) + \sqrt{2α}\, ξ, \qquad θ' = θ + \sqrt{ε}\, r'

    This is algorithm 2 of the paper with M = 1, steps of length √ε and α = √ε C; in its section 3.5 the velocity is
    √ε r, the learning rate ε and 1 - α the momentum. α = 1 is SGLD with the same ε. The paper's estimate of the noise
    of the gradients is taken as zero: a variance V of theirs raises the temperature by the factor 1 + εV / 2α.

    Parameters
    ----------
    key : Array
        Random key of this step.
    state : State
        From `init` or the step before.
    target : callable
        ``position -> (log π, g)``, unbiased estimates of the log density and its gradient, scaled to the full data.
    step_size : Array or float
        ε. The stationary distribution is π in the limit of small ε only: on N(0, 1) with the exact gradient its
        variance is ``1 / (1 - ε / (4 - 2α))``.
    friction : float
        α in (0, 1], the part of the momentum that is lost in a step.
    noise : Array or float
        Factor of ξ; with 0 the step is gradient ascent with momentum.

    References
    ----------
    Chen, Fox & Guestrin (2014), arXiv 1402.4102.
    """
    logdensity, drift = target(state.position)
    drawn = normals(xp, key, state.position)
    length, spread = step_size**0.5, noise * (2.0 * friction) ** 0.5
    momentum = {
        name: (1.0 - friction) * r + length * drift[name] + spread * drawn[name] for name, r in state.momentum.items()
    }
    moved = {name: w + length * momentum[name] for name, w in state.position.items()}
    return State(moved, momentum), Info(logdensity)
