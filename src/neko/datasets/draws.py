"""Functions of the generated tasks: checks of options, independent random streams, Poisson spikes."""

from __future__ import annotations

import numpy as np

from neko.arguments import check_integer, is_real


def whole(least: int, **options: int) -> None:
    """ValueError unless each option is an integer of at least `least`."""
    for name, value in options.items():
        check_integer(name, value, least=least)


def probability(**options: float) -> None:
    """ValueError unless each option lies in [0, 1]."""
    for name, value in options.items():
        if not (is_real(value) and 0.0 <= value <= 1.0):
            raise ValueError(f"{name}={value!r}: expected a probability in [0, 1]; per step for rates of spikes")


def streams(seed: int) -> tuple[np.random.Generator, np.random.Generator]:
    """Two generators, for training and test, which are independent of the number of draws from each other."""
    whole(0, seed=seed)
    train, test = np.random.default_rng(seed).spawn(2)
    return train, test


def spikes(rng: np.random.Generator, p: np.ndarray) -> np.ndarray:
    """Independent spikes, 1 with probability `p`, of the same shape, float32."""
    return (rng.random(p.shape, dtype=np.float32) < p).astype(np.float32)
