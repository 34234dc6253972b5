"""Adaptation of a sampler's step size during warm-up."""

from __future__ import annotations

import math
from typing import NamedTuple

EXPONENT = 0.6
DELAY = 10
GAIN = 4.0


class State(NamedTuple):
    """Log of the step size, its running mean, and the number of updates so far."""

    log_step: float
    mean: float
    updates: int


def init(step_size: float) -> State:
    """Before the first update."""
    return State(math.log(step_size), math.log(step_size), 0)


def update(state: State, acceptance_probability: float, target: float) -> State:
    r"""Robbins–Monro on the log of the step size.

    .. math::
        \log ε_{t+1} = \log ε_t + γ_t (α_t - α^*), \qquad γ_t = 4\, (t + 10)^{-0.6}

    `final` returns a running mean in which update t has weight ``min(1, 10/t)``, so that the end of the warm-up
    dominates.

    References
    ----------
    Andrieu & Thoms (2008), doi:10.1007/s11222-008-9110-y; averaging: Polyak & Juditsky (1992).
    """
    count = state.updates + 1
    log_step = state.log_step + GAIN * (count + DELAY) ** -EXPONENT * (acceptance_probability - target)
    weight = min(1.0, DELAY / count)
    return State(log_step, (1.0 - weight) * state.mean + weight * log_step, count)


def current(state: State) -> float:
    """The step size of the next step of the warm-up."""
    return math.exp(state.log_step)


def final(state: State) -> float:
    """The fixed step size after the warm-up."""
    return math.exp(state.mean)
