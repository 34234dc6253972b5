"""The preconditioned Crank–Nicolson algorithm (pCN)."""

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
    r"""One step, for a density that is a likelihood times a prior N(0, s²).

    .. math::
        θ' = \sqrt{1 - β^2}\, θ + β s ξ, \quad ξ \sim N(0, 1), \qquad
        \log α = \min\Big(0,\; \log π(θ') - \log π(θ) + \tfrac12 \sum \frac{θ'^2 - θ^2}{s^2}\Big)

    The proposal leaves the prior as it is, so that the prior cancels and the likelihood alone decides: the acceptance
    does not fall with the number of parameters, only with what the data say. With another s than the prior's the step
    is still right for π, but this is lost. A proposal whose log density is not finite is rejected.

    Parameters
    ----------
    key, state, target
        As for `neko.samplers.langevin.step`; the drift is not used.
    step_size : Array
        β in (0, 1]; above 1 it counts as 1, an independent draw from the prior.
    scale : dict of str to float or array, optional
        s by parameter, the prior's standard deviation (times √T for a density that is raised to 1/T), 1 where it is
        not given.

    References
    ----------
    Cotter, Roberts, Stuart & White (2013), doi:10.1214/13-STS421, section 4.2; Neal (1999), "Regression and
    classification using Gaussian process priors".
    """
    key_noise, key_accept = xp.unstack(xp.random.split(key))
    proposal = propose(xp, key_noise, state.position, step_size, scale=scale)
    logdensity, _ = target(proposal)
    correction = prior_ratio(xp, state.position, proposal, scale=scale)
    probability, accepted = accept(xp, key_accept, logdensity - state.logdensity + correction)
    return choose(xp, accepted, State(proposal, logdensity), state), Info(probability, accepted)


def propose(
    xp: Backend, key: Array, position: Position, step_size: Array, *, scale: dict[str, Any] | None = None
) -> Position:
    """The proposal alone; a step size of several entries broadcasts against each parameter."""
    s = scales(xp, position, scale)
    noise = normals(xp, key, position)
    beta = xp.minimum(xp.asarray(step_size), 1.0)
    kept = xp.sqrt(1.0 - beta**2)
    return {name: kept * w + beta * s[name] * noise[name] for name, w in position.items()}


def prior_ratio(xp: Backend, old: Position, new: Position, *, scale: dict[str, Any] | None = None) -> Array:
    """Log of the prior's density at `old` over that at `new`, which is the log ratio of the proposal's densities."""
    s = scales(xp, old, scale)
    # a difference of squares as a product: see `neko.samplers.langevin`
    return sum(0.5 * xp.sum((new[name] - w) * (new[name] + w) / s[name] ** 2) for name, w in old.items())
