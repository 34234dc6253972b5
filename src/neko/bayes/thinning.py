"""Draws thinned to a budget of memory."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

MEBIBYTE = 2.0**20


def capacity(memory: float, chains: int, arrays: Iterable[np.ndarray]) -> int:
    """Draws of every chain that `memory` MiB can hold, where a draw has these arrays, weights and predictions.

    Raises
    ------
    ValueError
        If they are fewer than two.
    """
    size = chains * sum(a.nbytes for a in arrays)
    found = int(memory * MEBIBYTE // max(size, 1))
    if found < 2:
        raise ValueError(f"memory={memory!r} MiB: expected at least {2 * size / MEBIBYTE:.3g} for two draws of a chain")
    return found


def stride(draws: int, room: int) -> int:
    """The least power of two by which `draws` are thinned to at most `room`.

    Draws that come one after another, of which every second is dropped whenever there is no more room, are those of
    this stride from the first on.

    >>> [stride(draws, 4) for draws in (1, 4, 5, 8, 9)]
    [1, 1, 2, 2, 4]
    """
    found = 1
    while -(-draws // found) > room:
        found *= 2
    return found
