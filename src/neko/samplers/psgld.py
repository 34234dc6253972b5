"""Preconditioned stochastic gradient Langevin dynamics."""

from __future__ import annotations

from typing import NamedTuple

from neko.backend.protocol import Backend
from neko.samplers.proposals import Position, Target, normals
from neko.typing import Array


class State(NamedTuple):
    """Position of the chain, and the running mean of the squared gradient."""

    position: Position
    square: Position


class Info(NamedTuple):
    """The estimate of the log density before the step; there is no accept test."""

    logdensity: Array


def init(xp: Backend, position: Position, target: Target) -> State:
    """The state at a position, where the mean begins with the squared gradient there."""
    _, drift = target(position)
    return State(position, {name: xp.square(drift[name]) for name in position})


def step(
    xp: Backend,
    key: Array,
    state: State,
    target: Target,
    step_size: Array | float,
    *,
    decay: float,
    damping: float,
    noise: Array | float = 1.0,
) -> tuple[State, Info]:
    r"""One step, without an accept test.

    .. math::
        V' = λ V + (1 - λ)\, \hat g(θ)^2, \qquad G = \frac{1}{δ + \sqrt{V'}}, \qquad
        θ' = θ + ε\, G\, \hat g(θ) + \sqrt{2 ε G}\, ξ

    The paper's term :math:`Γ_i = ∂G_i / ∂θ_i`, which needs second derivatives, is left out, as in the experiments of
    its authors. Without it the stationary distribution is not π even for small ε: V' depends on θ, and where the
    gradient is large G is small, so that the chain stays longer there. With λ = 0 the limit of small ε is π / G, times
    a constant; with λ near 1 V' hardly depends on the present θ, and with λ = 1, where V never changes, the limit is π.
    The mean is of the squared gradient of the log density, the prior's included, where the paper's is of the
    likelihood's per example: without data for a parameter G stays bounded.

    Parameters
    ----------
    key : Array
        Random key of this step.
    state : State
        From `init` or the step before.
    target : callable
        ``position -> (log π, g)``, unbiased estimates of the log density and its gradient, scaled to the full data.
    step_size : Array or float
        ε. With a fixed G, on N(0, 1) and with the exact gradient, the stationary variance is ``1 / (1 - εG/2)``.
    decay : float
        λ in [0, 1].
    damping : float
        δ, above 0, in the units of the gradient.
    noise : Array or float
        Factor of ξ; with 0 the step is RMSprop's.

    References
    ----------
    Li, Chen, Carlson & Carin (2016), arXiv 1512.07666.
    """
    logdensity, drift = target(state.position)
    drawn = normals(xp, key, state.position)
    square = {name: decay * v + (1.0 - decay) * xp.square(drift[name]) for name, v in state.square.items()}

    def moved(name: str, w: Array) -> Array:
        rate = step_size / (damping + xp.sqrt(square[name]))
        return w + rate * drift[name] + noise * xp.sqrt(2.0 * rate) * drawn[name]

    return State({name: moved(name, w) for name, w in state.position.items()}, square), Info(logdensity)
