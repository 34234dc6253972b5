"""Stochastic gradient Langevin dynamics."""

from __future__ import annotations

from typing import NamedTuple

from neko.backend.protocol import Backend
from neko.samplers.proposals import Position, Target, normals
from neko.typing import Array


class State(NamedTuple):
    """Position of the chain."""

    position: Position


class Info(NamedTuple):
    """The estimate of the log density before the step; there is no accept test."""

    logdensity: Array


def init(xp: Backend, position: Position, target: Target) -> State:
    """The state at a position; `target` is not evaluated before the first step."""
    return State(position)


def step(
    xp: Backend, key: Array, state: State, target: Target, step_size: Array | float, *, noise: Array | float = 1.0
) -> tuple[State, Info]:
    r"""One step, :math:`θ' = θ + ε \hat g + \sqrt{2ε}\, ξ`, without an accept test.

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
        variance is ``1 / (1 - ε/2)``.
    noise : Array or float
        Factor of ξ; with 0 the step is gradient ascent.

    References
    ----------
    Welling & Teh (2011), "Bayesian learning via stochastic gradient Langevin dynamics", ICML.
    """
    logdensity, drift = target(state.position)
    drawn = normals(xp, key, state.position)
    spread = noise * (2.0 * step_size) ** 0.5
    moved = {name: w + step_size * drift[name] + spread * drawn[name] for name, w in state.position.items()}
    return State(moved), Info(logdensity)
