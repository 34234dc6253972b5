"""Work of kernels in several threads; they hold no lock of Python's while they run."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

LEAST = 1 << 14
"""Neurons of all sequences and steps below which starting a thread costs more than it gains."""


def shared(count: int, work: int, threads: int, run: Callable[[int, int], Any]) -> None:
    """``run(begin, end)`` for parts of ``range(count)`` at once, as many as pay for `work` neuron steps."""
    parts = max(1, min(threads, count, work // LEAST))
    ends = [count * k // parts for k in range(parts + 1)]
    if parts == 1:
        run(0, count)
        return
    futures = [pool(threads).submit(run, a, b) for a, b in itertools.pairwise(ends[1:])]
    run(0, ends[1])
    for future in futures:
        future.result()


PREPARED: list[Callable[[], Any]] = []
"""What a new thread calls first: a framework's settings are often those of a thread."""


@functools.cache
def pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="neko-kernels", initializer=prepare)


def prepare() -> None:
    for call in PREPARED:
        call()
