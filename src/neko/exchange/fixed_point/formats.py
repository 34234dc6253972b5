"""The integers of Loihi 1 and what it does with them.

Widths are those of Davies et al. (2018), "Loihi: a neuromorphic manycore processor with on-chip learning", IEEE Micro
38, doi:10.1109/MM.2018.112130359, and of the bit-accurate process model of ``LIF`` in Intel's Lava 0.9, which says how
the chip rounds, wraps and saturates. Arrays are of int64, which holds every intermediate product.
"""

from __future__ import annotations

import numpy as np

WEIGHT_BITS = 8
"""Most bits of a weight: its mantissa is from -256 to 254 in steps of 2, since a sign of its own costs the last bit."""
EXPONENTS = range(8)
"""Exponents e of weights that add ``m · 2^(6+e)`` to a current; those below 0 cut a sum, and are not used here."""
UNITY = 1 << 12
"""A decay δ of 12 bits leaves ``(4096 - δ) / 4096`` in a step."""
ALIGN = 6
"""Bits by which weights and thresholds are shifted to the states, which are finer."""
THRESHOLD = (1 << 17) - 1
"""Largest mantissa of a threshold."""
BIAS, BIAS_EXPONENTS = (1 << 12) - 1, range(8)
"""Largest mantissa of a bias, and its exponents."""
LIMIT = 1 << 23
"""States have 24 bits with their sign."""


def decayed(x: np.ndarray, delta: np.ndarray) -> np.ndarray:
    """``x (4096 - δ) / 4096``, rounded toward zero.

    >>> decayed(np.array([5, -5]), np.array(2048)).tolist()
    [2, -2]
    """
    product = x * (UNITY - delta)
    return np.sign(product) * (np.abs(product) >> 12)


def wrapped(u: np.ndarray) -> np.ndarray:
    """A current modulo 2^24, above -2^23 and up to 2^23.

    >>> wrapped(np.array([2**23, 2**23 + 1, -(2**23)])).tolist()
    [8388608, -8388607, 8388608]
    """
    return (u + LIMIT - 1) % (2 * LIMIT) - LIMIT + 1


def saturated(v: np.ndarray) -> np.ndarray:
    """A potential, held between ±(2^23 - 1).

    >>> saturated(np.array([2**23, -(2**24)])).tolist()
    [8388607, -8388607]
    """
    return np.clip(v, 1 - LIMIT, LIMIT - 1)


def spacing(bits: int) -> int:
    """The distance of two mantissas of this many bits with a sign.

    >>> [spacing(bits) for bits in (8, 6, 4)]
    [2, 8, 32]
    """
    return int(1 << (WEIGHT_BITS + 1 - bits))
