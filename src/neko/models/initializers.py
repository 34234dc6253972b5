"""Initial weights, drawn by NumPy so that they are equal bit for bit on every backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Initializer = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


def fan_in_normal(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Normal weights with variance 1 / n_in (LeCun et al. 1998; Bellec et al. 2020)."""
    return rng.standard_normal(shape) / np.sqrt(shape[0])


def glorot_uniform(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Uniform in ±sqrt(6 / (n_in + n_out)) (Glorot & Bengio 2010)."""
    limit = np.sqrt(6.0 / (shape[0] + shape[1]))
    return rng.uniform(-limit, limit, shape)


def orthogonal(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """A (semi-)orthogonal matrix, uniform over the group (Saxe et al. 2014)."""
    q, r = np.linalg.qr(rng.standard_normal((max(shape), min(shape))))
    q = q * np.sign(np.diag(r))
    return q if shape[0] >= shape[1] else q.T


def zeros(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """All weights zero."""
    return np.zeros(shape)


INITIALIZERS: dict[str, Initializer] = {
    "fan_in_normal": fan_in_normal,
    "glorot_uniform": glorot_uniform,
    "orthogonal": orthogonal,
    "zeros": zeros,
}


def resolve(initializer: str | Initializer) -> Initializer:
    """The initializer of a name; a function ``(rng, shape) -> array`` is returned as it is."""
    if callable(initializer):
        return initializer
    if not isinstance(initializer, str) or initializer not in INITIALIZERS:
        raise ValueError(f"initializer={initializer!r}: expected one of {sorted(INITIALIZERS)} or a function")
    return INITIALIZERS[initializer]


def draw(initializer: str | Initializer, rng: np.random.Generator, shape: tuple[int, int], blocks: int) -> Any:
    """`blocks` matrices of `shape`, side by side: the weights of a cell with several currents."""
    function = resolve(initializer)
    return np.concatenate([function(rng, shape) for _ in range(blocks)], axis=1)
