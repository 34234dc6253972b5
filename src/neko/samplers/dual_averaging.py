"""Adaptation of a sampler's step size by dual averaging: it reaches a step size that is far off in few updates.

After a hundred updates `neko.samplers.adaptation` is nearer to the acceptance that is wanted: dual averaging stays
above it, since its mean remembers the small steps of the beginning.
"""

from __future__ import annotations

import math
from typing import NamedTuple

SHRINKAGE = 0.05
DELAY = 10
EXPONENT = 0.75


class State(NamedTuple):
    """Log of the step size and its mean; the mean error of the acceptance, where the log shrinks to, and the number of
    updates so far."""

    log_step: float
    mean: float
    error: float
    centre: float
    updates: int


def init(step_size: float) -> State:
    """Before the first update; larger steps than this one are tried first."""
    return State(math.log(step_size), math.log(step_size), 0.0, math.log(10.0 * step_size), 0)


def update(state: State, acceptance_probability: float, target: float) -> State:
    r"""Nesterov's dual averaging of the log of the step size.

    .. math::
        \bar H_t = (1 - η_t) \bar H_{t-1} + η_t (α^* - α_t), \quad η_t = \frac{1}{t + 10}, \qquad
        \log ε_{t+1} = \log 10 ε_1 - 20 \sqrt{t}\, \bar H_t

    `final` returns the mean :math:`\bar x_t = t^{-0.75} \log ε_{t+1} + (1 - t^{-0.75}) \bar x_{t-1}`.

    References
    ----------
    Hoffman & Gelman (2014), "The No-U-Turn sampler", eq. 6, with their constants; Nesterov (2009),
    doi:10.1007/s10107-007-0149-x.
    """
    count = state.updates + 1
    share = 1.0 / (count + DELAY)
    error = (1.0 - share) * state.error + share * (target - acceptance_probability)
    log_step = state.centre - math.sqrt(count) / SHRINKAGE * error
    weight = count**-EXPONENT
    return State(log_step, weight * log_step + (1.0 - weight) * state.mean, error, state.centre, count)


def current(state: State) -> float:
    """The step size of the next step of the warm-up."""
    return math.exp(state.log_step)


def final(state: State) -> float:
    """The fixed step size after the warm-up."""
    return math.exp(state.mean)
