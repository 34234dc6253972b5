"""Transitions of several chains, the same numbers as one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from neko import tree
from neko.backend.protocol import Backend


class Transitions:
    """Makes a transition for each of several jobs, ``transition(*job, *arguments)`` with a tree of arrays as the job.

    Where the framework compiles, all are one program, a loop over the chains: one call in place of several. A map over
    a further axis of all arrays (``vmap``) is no faster on a processor, and its sums, in another order, have other last
    bits.
    """

    def __init__(self, xp: Backend, transition: Callable[..., Any], jit: bool) -> None:
        self.xp = xp
        self.transition = transition
        self.together = jit and xp.compiles
        self.one = xp.jit(transition) if jit else transition
        self.all = xp.jit(self.loop)

    def __call__(self, jobs: list[Any], arguments: Any) -> list[Any]:
        if self.together and len(jobs) > 1:
            found: list[Any] = self.all(jobs, arguments)
            return found
        return [self.one(*job, *arguments) for job in jobs]

    def loop(self, jobs: list[Any], arguments: Any) -> list[Any]:
        """The transitions as a scan over the jobs."""
        stacked = tree.map(lambda *arrays: self.xp.stack(list(arrays)), *jobs)
        _, found = self.xp.scan(lambda _, job: (None, self.transition(*job, *arguments)), None, stacked)
        return [tree.map(lambda a, i=i: a[i], found) for i in range(len(jobs))]
