"""Stateless random numbers, equal on every backend: Threefry-2x32."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from neko.backend import generated
from neko.typing import Array

ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
MASK = 0xFFFFFFFF
PARITY = 0x1BD11BDA
SHIFTS = (5, 6, 8)
CONSTANTS = {MASK, PARITY, *SHIFTS, *range(1, 6), *ROTATIONS, *(32 - r for r in ROTATIONS)}


class Random:
    """Random numbers of a backend from keys; the same key gives the same numbers everywhere.

    A key is an array of two 32-bit words. Words are held in an integer type of the backend wide enough to add
    without overflow, or one that wraps around at 32 bits.

    References
    ----------
    Salmon et al. (2011), "Parallel random numbers: as easy as 1, 2, 3", doi:10.1145/2063384.2063405.
    """

    def __init__(self, xp: Any, word: Any) -> None:
        self.xp = xp
        self.word = word
        # Converted once: a conversion in each of the hundreds of operations of a draw costs more than the operation.
        self.constants = {c: self._words(np.int64(c)) for c in CONSTANTS}

    def key(self, seed: int) -> Array:
        """The key of an integer seed."""
        return self._words(np.array([(seed >> 32) & MASK, seed & MASK], dtype=np.int64))

    def split(self, key: Array, count: int = 2) -> Array:
        """`count` independent keys, (count, 2)."""
        first, second = self._block(key, count)
        return self.xp.stack([first, second], axis=-1)

    def fold(self, key: Array, number: Array | int | None) -> Array:
        """The key of a number: independent of `key` and of those of other numbers; `key` itself for None."""
        if number is None:
            return key
        word = self._words(np.int64(number)) if isinstance(number, int) else self.xp.astype(number, self.word)
        # In the high word a number meets no other seed below 2^32.
        return self.split(self.xp.stack([self._low(key[0] + word), key[1]]), 1)[0]

    def uniform(self, key: Array, shape: tuple[int, ...]) -> Array:
        """Uniform numbers in [0, 1): multiples of 2^-24 in single, of 2^-53 in double precision."""
        xp = self.xp
        first, second = self._block(key, math.prod(shape))
        if xp.dtype_name == "float32":
            values = xp.astype(self._right(first, 8), xp.dtype) * 2.0**-24
        else:
            high = xp.astype(self._right(first, 5), xp.dtype)
            values = (high * 2.0**26 + xp.astype(self._right(second, 6), xp.dtype)) * 2.0**-53
        return xp.reshape(values, shape)

    def normal(self, key: Array, shape: tuple[int, ...]) -> Array:
        """Standard normal numbers by the transform of Box and Muller."""
        xp = self.xp
        keys = self.split(key, 2)
        radius = xp.sqrt(-2.0 * xp.log1p(-self.uniform(keys[0], shape)))
        return radius * xp.cos((2.0 * math.pi) * self.uniform(keys[1], shape))

    def bernoulli(self, key: Array, p: Any, shape: tuple[int, ...]) -> Array:
        """True with probability `p`."""
        return self.uniform(key, shape) < p

    def _block(self, key: Array, count: int) -> tuple[Array, Array]:
        """Two words for each counter 0 … count - 1."""
        counter = self._words(np.arange(count, dtype=np.int64))
        return self.threefry(key[0], key[1], counter, self.xp.zeros_like(counter))

    def threefry(self, k0: Array, k1: Array, x0: Array, x1: Array) -> tuple[Array, Array]:
        """The 20-round block function, on words."""
        xor = self.xp.bitwise_xor
        keys = (k0, k1, xor(xor(k0, k1), self.constants[PARITY]))
        x0, x1 = self._low(x0 + keys[0]), self._low(x1 + keys[1])
        for group in range(5):
            for rotation in ROTATIONS[:4] if group % 2 == 0 else ROTATIONS[4:]:
                x0 = self._low(x0 + x1)
                x1 = xor(self._rotate(x1, rotation), x0)
            x0 = self._low(x0 + keys[(group + 1) % 3])
            x1 = self._low(x1 + keys[(group + 2) % 3] + self.constants[group + 1])
        return x0, x1

    def _words(self, values: Any) -> Array:
        if self.xp.name == "jax":
            values = np.asarray(values).astype(np.uint32)
        return self.xp.asarray(values, dtype=self.word)

    def _low(self, x: Array) -> Array:
        return self.xp.bitwise_and(x, self.constants[MASK])

    def _right(self, x: Array, bits: int) -> Array:
        return self.xp.bitwise_right_shift(x, self.constants[bits])

    def _rotate(self, x: Array, bits: int) -> Array:
        left = self._low(self.xp.bitwise_left_shift(x, self.constants[bits]))
        return self.xp.bitwise_or(left, self._right(x, 32 - bits))


class HostRandom(Random):
    """The same numbers for arrays in the host's memory, drawn there at once and not by operations of the framework.

    `array` makes an array of the framework from a NumPy array, whose memory it may share.
    """

    def __init__(self, xp: Any, word: Any, array: Callable[[np.ndarray], Array]) -> None:
        super().__init__(xp, word)
        self.array = array

    def split(self, key: Array, count: int = 2) -> Array:
        found = self._drawn("words", key, count)
        return super().split(key, count) if found is None else found

    def uniform(self, key: Array, shape: tuple[int, ...]) -> Array:
        found = self._drawn("uniform", key, math.prod(shape), self.xp.dtype_name)
        return super().uniform(key, shape) if found is None else found.reshape(shape)

    def normal(self, key: Array, shape: tuple[int, ...]) -> Array:
        found = self._drawn("normal", key, math.prod(shape), self.xp.dtype_name)
        return super().normal(key, shape) if found is None else found.reshape(shape)

    def _drawn(self, name: str, key: Array, *options: Any) -> Array | None:
        try:
            words = key.tolist()
        except RuntimeError:  # a key that stands for many, in torch.func.vmap
            return None
        return self.array(getattr(generated.kernels("threefry"), name)(words, *options))
