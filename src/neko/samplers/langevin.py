"""The Metropolis-adjusted Langevin algorithm (MALA)."""

from __future__ import annotations

from typing import Any, NamedTuple

from neko.backend.protocol import Backend
from neko.backend.update import choose
from neko.samplers.proposals import Position, Target, accept, normals, scales, times
from neko.typing import Array


class State(NamedTuple):
    """Position of the chain, with the log density and the drift there."""

    position: Position
    logdensity: Array
    drift: Position


class Info(NamedTuple):
    """The probability of acceptance, and whether the proposal was accepted."""

    acceptance_probability: Array
    accepted: Array


def init(xp: Backend, position: Position, target: Target) -> State:
    """The state at a position; `target` returns the log density there (up to a constant) and the drift."""
    return State(position, *target(position))


def step(
    xp: Backend, key: Array, state: State, target: Target, step_size: Array, *, scale: dict[str, Any] | None = None
) -> tuple[State, Info]:
    r"""One step.

    .. math::
        θ' = θ + ε s^2 g(θ) + \sqrt{2ε}\, s ξ, \quad ξ \sim N(0, 1), \qquad
        α = \min\Big(1, \frac{π(θ')\, q(θ|θ')}{π(θ)\, q(θ'|θ)}\Big), \qquad
        \log q(y|x) = -‖(y - x - ε s^2 g(x)) / s‖^2 / 4ε

    g may be any deterministic function of θ, for which the correction compensates. A proposal whose log density or
    drift is not finite is rejected.

    Parameters
    ----------
    key : Array
        Random key of this step.
    state : State
        From `init` or the step before.
    target : callable
        ``position -> (log π, g)``.
    step_size : Array
        ε.
    scale : dict of str to float or array, optional
        s by parameter, 1 where it is not given.

    References
    ----------
    Roberts & Tweedie (1996), doi:10.2307/3318418.
    """
    key_noise, key_accept = xp.unstack(xp.random.split(key))
    noise = normals(xp, key_noise, state.position)
    s = scales(xp, state.position, scale)
    root = xp.sqrt(2.0 * step_size)
    proposal = {
        name: w + times(s[name], times(s[name], step_size)) * state.drift[name] + times(s[name], root) * noise[name]
        for name, w in state.position.items()
    }
    logdensity, drift = target(proposal)
    # With h = √(ε/2) s (g + g') the noise of the reverse step is -ξ - h, and log q(θ|θ') / q(θ'|θ) is -Σ h (ξ + h/2):
    # a product, since the difference of two sums over a million weights would lose precision.
    log_ratio = logdensity - state.logdensity
    for name, forth in noise.items():
        h = times(s[name], 0.5 * root) * (state.drift[name] + drift[name])
        log_ratio = log_ratio - xp.sum(h * (forth + 0.5 * h))
    probability, accepted = accept(xp, key_accept, log_ratio)
    proposed = State(proposal, logdensity, drift)
    return choose(xp, accepted, proposed, state), Info(probability, accepted)
