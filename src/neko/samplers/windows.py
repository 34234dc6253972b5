"""When a warm-up learns the step size alone, and when the mass too."""

from __future__ import annotations

FIRST, SLOW, LAST = 75, 25, 50
"""Transitions for the step size alone at the beginning, in the first window for the mass, and for the step size alone
at the end."""
LEAST = 50
"""Transitions from which on a mass is learnt at all: five are left for the step size of the last one."""


def windows(warmup: int) -> list[tuple[int, int]]:
    """The windows of a warm-up, in each of which a mass is learnt for the next: first transition, and the one after its
    last.

    Each is twice as long as the one before; the last one is longer where a further one would not fit. A warm-up of
    fewer than 150 transitions has one, between the first 15 % and the last 10 %; of fewer than 50 none (Stan: 20).

    References
    ----------
    Stan Development Team, Stan Reference Manual, "HMC algorithm parameters": its constants.
    """
    if warmup < LEAST:
        return []
    if warmup < FIRST + SLOW + LAST:
        return [(int(0.15 * warmup), warmup - int(0.1 * warmup))]
    found, begin, length, end = [], FIRST, SLOW, warmup - LAST
    while begin < end:
        # no room for this window and the next, of twice its length
        stop = end if begin + 3 * length > end else begin + length
        found.append((begin, stop))
        begin, length = stop, 2 * length
    return found
