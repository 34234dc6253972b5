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


class Buffers:
    """Memory for arrays; a buffer is free as soon as no array, view or tensor of it exists."""

    def __init__(self) -> None:
        self._kept: list[np.ndarray] = []
        self._lock = threading.Lock()

    def empty(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """An array with arbitrary entries."""
        size = math.prod(shape) * dtype.itemsize
        with self._lock:
            free = [k for k, count in enumerate(references(self._kept)) if count == UNUSED]
            fitting = [k for k in free if size <= self._kept[k].size <= 2 * size]
            if fitting:
                buffer = self._kept[min(fitting, key=lambda k: self._kept[k].size)]
            else:
                # Sizes have changed: what is not in use now will not fit later either.
                self._kept = [b for k, b in enumerate(self._kept) if k not in free]
                buffer = np.empty(max(size, 1), np.uint8)
                self._kept.append(buffer)
        return buffer[:size].view(dtype).reshape(shape)


BUFFERS = Buffers()
