"""The network that everything here computes, and its inputs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

SHAPES = [(128, 28, 28, 128, 10), (32, 300, 39, 200, 61), (8, 2000, 39, 200, 61)]
"""(batch, time, inputs, hidden, outputs)."""

TAU_M, TAU_A, TAU_OUT, BETA, GAMMA = 20.0, 200.0, 20.0, 0.184, 0.3
"""Time constants in steps; a spike raises the threshold by the fraction BETA of its resting value."""

ALPHA, RHO, KAPPA = (math.exp(-1.0 / tau) for tau in (TAU_M, TAU_A, TAU_OUT))
LEARNING_RATE = 1e-6
"""So small that a network fires at the end of a measurement as at its start; Adam's work does not depend on it."""


class Steps(NamedTuple):
    """What a contender gives for one shape and threshold.

    Parameters
    ----------
    step : callable
        Does a training step, or `count` of them, and returns the loss.
    rate : callable or None
        The fraction of neurons that spike in a time step; None for who computes another number than the loss.
    """

    step: Callable[[], float]
    rate: Callable[[], float] | None = None
    count: int = 1


def data(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (batch, time, n_in) and one-hot targets (batch, outputs), single precision."""
    batch, time, n_in, _, outputs = shape
    rng = np.random.default_rng(0)
    x = rng.uniform(0.0, 1.0, (batch, time, n_in)).astype(np.float32)
    return x, np.eye(outputs, dtype=np.float32)[rng.integers(outputs, size=batch)]


def weights(shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Initial weights, single precision."""
    _, _, n_in, n, outputs = shape
    rng = np.random.default_rng(1)
    drawn = {
        "w_in": rng.standard_normal((n_in, n)) / np.sqrt(n_in),
        "w_rec": rng.standard_normal((n, n)) / np.sqrt(n),
        "w_out": rng.standard_normal((n, outputs)) / np.sqrt(n),
        "b_out": np.zeros(outputs),
    }
    return {name: w.astype(np.float32) for name, w in drawn.items()}
