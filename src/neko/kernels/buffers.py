"""Arrays that are used again: fresh memory costs a third of a step, since the system clears each page at first use."""

from __future__ import annotations

import math
import sys
import threading

import numpy as np


def references(buffers: list[np.ndarray]) -> list[int]:
    """How many references to each buffer exist, those of this function too."""
    return [sys.getrefcount(buffer) for buffer in buffers]


UNUSED = references([np.empty(0)])[0]
"""References to a buffer that only its list holds."""
LATELY = 1_000
"""Number of requests after which a size is no longer in use."""


class Buffers:
    """Memory for arrays; a buffer is free as soon as no array, view or tensor of it exists."""

    def __init__(self) -> None:
        self._kept: dict[int, list[np.ndarray]] = {}
        self._asked: dict[int, int] = {}
        self._requests = 0
        self._lock = threading.Lock()

    def empty(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """An array with arbitrary entries."""
        size = math.prod(shape) * dtype.itemsize
        with self._lock:
            self._requests += 1
            self._asked[size] = self._requests
            kept = self._kept.setdefault(size, [])
            free = [k for k, count in enumerate(references(kept)) if count == UNUSED]
            if free:
                buffer = kept[free[0]]
            else:
                self._forget()
                buffer = np.empty(size, np.uint8)
                self._kept[size] = [*kept, buffer]
        return buffer.view(dtype).reshape(shape)

    def release(self) -> None:
        """Give back all buffers that are free, and forget those that are in use."""
        with self._lock:
            self._kept.clear()
            self._asked.clear()

    def _forget(self) -> None:
        """Give back the free buffers of sizes that nobody has asked for lately."""
        for size in [s for s, asked in self._asked.items() if self._requests - asked > LATELY]:
            del self._kept[size], self._asked[size]


BUFFERS = Buffers()
