"""Learning-rate schedules: plain functions of the number of updates so far."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Exponential:
    """``rate · decay^(step / steps)``."""

    rate: float
    decay: float
    steps: int

    def __call__(self, step: int) -> float:
        return self.rate * self.decay ** (step / self.steps)


@dataclass(frozen=True)
class Cosine:
    """Half a cosine from `rate` to `final` over `steps` updates, then constant (Loshchilov & Hutter 2017)."""

    rate: float
    steps: int
    final: float = 0.0

    def __call__(self, step: int) -> float:
        share = min(step / self.steps, 1.0)
        return self.final + 0.5 * (self.rate - self.final) * (1.0 + math.cos(math.pi * share))


@dataclass(frozen=True)
class Warmup:
    """A linear rise over `steps` updates to the rate of `then`, which counts from the end of the rise."""

    steps: int
    then: Exponential | Cosine

    def __call__(self, step: int) -> float:
        if step < self.steps:
            return self.then(0) * (step + 1) / self.steps
        return self.then(step - self.steps)
