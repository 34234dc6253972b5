"""Learning-rate schedules: plain functions of the number of updates so far.

Any callable ``step -> rate`` is a schedule. They are evaluated in Python before each update, so that they are equal on
every backend.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from neko.arguments import check_number


@dataclass(frozen=True)
class Constant:
    """The constant ``rate``.

    Examples
    --------
    >>> Warmup(4, Constant(0.1))(0)
    0.025
    """

    rate: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", check_number("rate", self.rate))

    def __call__(self, step: int) -> float:
        return self.rate


@dataclass(frozen=True)
class Exponential:
    """``rate · decay^(step / steps)``: by the factor `decay` every `steps` updates.

    Examples
    --------
    >>> Exponential(0.1, 0.5, 100)(200)
    0.025
    """

    rate: float
    decay: float
    steps: int

    def __post_init__(self) -> None:
        for name, positive in (("rate", False), ("decay", True), ("steps", True)):
            object.__setattr__(self, name, check_number(name, getattr(self, name), positive=positive))

    def __call__(self, step: int) -> float:
        return self.rate * self.decay ** (step / self.steps)


@dataclass(frozen=True)
class Cosine:
    """Half a cosine from `rate` to `final` over `steps` updates, then constant.

    References
    ----------
    Loshchilov & Hutter (2017), "SGDR", eq. 5, without restarts (arXiv 1608.03983).

    Examples
    --------
    >>> round(Cosine(0.1, 100)(50), 12)
    0.05
    """

    rate: float
    steps: int
    final: float = 0.0

    def __post_init__(self) -> None:
        for name, positive in (("rate", False), ("steps", True), ("final", False)):
            object.__setattr__(self, name, check_number(name, getattr(self, name), positive=positive))

    def __call__(self, step: int) -> float:
        share = min(step / self.steps, 1.0)
        return self.final + 0.5 * (self.rate - self.final) * (1.0 + math.cos(math.pi * share))


@dataclass(frozen=True)
class Warmup:
    """A linear rise over `steps` updates to the first rate of `then`, which counts from the end of the rise.

    The first update has ``then(0) / steps``, the last of the rise ``then(0)``.
    """

    steps: int
    then: Callable[[int], float]

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", check_number("steps", self.steps))
        if not callable(self.then) or isinstance(self.then, type):
            raise TypeError(f"then={self.then!r}: expected a schedule step -> rate, for example Constant(0.1)")

    def __call__(self, step: int) -> float:
        if step < self.steps:
            return self.then(0) * (step + 1) / self.steps
        return self.then(step - self.steps)
