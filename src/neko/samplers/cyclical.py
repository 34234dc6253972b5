"""The cyclical schedule of samplers without an accept test."""

from __future__ import annotations

import math


def phase(k: int, cycle: int) -> float:
    """Where in its cycle of `cycle` steps step k = 1, 2, … is: r = mod(k - 1, cycle) / cycle, from 0 to below 1."""
    return (k - 1) % cycle / cycle


def step_size(k: int, cycle: int, largest: float) -> float:
    r"""The step size of step k = 1, 2, …

    .. math::
        ε_k = \frac{ε_0}{2} \left[\cos\left(π \frac{\mathrm{mod}(k - 1, ⌈K/M⌉)}{⌈K/M⌉}\right) + 1\right]

    It falls from `largest`, ε_0, at the beginning of every cycle of `cycle` = ⌈K/M⌉ steps towards zero, for M cycles in
    K steps: large steps find another mode, small ones describe it.

    References
    ----------
    Zhang, Li, Zhang, Chen & Wilson (2020), arXiv 1902.03932, section 3.
    """
    return 0.5 * largest * (math.cos(math.pi * phase(k, cycle)) + 1.0)


def exploring(k: int, cycle: int, exploration: float) -> bool:
    """Whether step k = 1, 2, … is in the exploration stage, r < `exploration`, of steps without noise; the others are
    the sampling stage (the paper's algorithm 1)."""
    return phase(k, cycle) < exploration
