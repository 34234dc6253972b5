"""What a step runs in where PyTorch executes it operation by operation."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from neko.backend.generated import step

DENORMAL = np.float32(1e-42)


def eager(f: Callable[..., Any]) -> Callable[..., Any]:
    """`f`, uncompiled, run without automatic garbage collection and with denormal numbers taken as zero.

    A long sequence makes and keeps thousands of small objects, which the collector would visit again and again (13 % of
    a step of e-prop over 2,000 steps). Credit that decays as κ^k becomes denormal after 1,750 steps of κ = 0.95, and
    arithmetic with denormal numbers is many times slower; compiled programs of JAX and TensorFlow take them as zero.
    """

    def run(*args: Any) -> Any:
        with UNCOLLECTED, flushed(), step():
            return f(*args)

    return run


class Uncollected:
    """A region without automatic garbage collection, which threads may enter at the same time, and more than once."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.enabled = True

    def __enter__(self) -> None:
        with self.lock:
            if self.inside == 0:
                self.enabled = gc.isenabled()
                gc.disable()
            self.inside += 1

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self.inside -= 1
            if self.inside == 0 and self.enabled:
                gc.enable()


UNCOLLECTED = Uncollected()
"""The region of this process, which has one collector."""


@contextlib.contextmanager
def flushed() -> Iterator[None]:
    """Where this thread takes denormal numbers as zero; afterwards as before, which PyTorch does not tell."""
    before = DENORMAL * DENORMAL.dtype.type(1.0) == 0.0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(bool(before))
