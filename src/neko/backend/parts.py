"""The part of a batch that this process computes, where several processes divide each batch among them.

Every process gives each example of its part the weight that makes the mean of its numbers over processes that of the
whole batch, so that what does not depend on examples is right too. What a computation takes over the examples of a
batch goes through the functions here; in a process by itself, and where all have the whole batch, they change nothing.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, NamedTuple, Protocol

from neko.typing import Array

TINY = 1e-6
"""Less than one frame shared by all processes, and more than none: in place of 0 as a divisor."""


class Group(Protocol):
    """Processes that compute together."""

    size: int
    """Number of processes."""

    def mean(self, x: Array) -> Array:
        """The mean of every process's array; its derivative is the mean of theirs."""


class Part(NamedTuple):
    """Examples `begin` … `end` - 1 of the `total` ones of a batch."""

    begin: int
    end: int
    total: int
    group: Group

    @property
    def rows(self) -> slice:
        """Of the whole batch."""
        return slice(self.begin, self.end)


PRESENT: ContextVar[Part | None] = ContextVar("PRESENT", default=None)


@contextlib.contextmanager
def within(part: Part | None) -> Iterator[None]:
    """Computations of this part of a batch."""
    token = PRESENT.set(part)
    try:
        yield
    finally:
        PRESENT.reset(token)


def mean(x: Array) -> Array:
    """The mean of an array over processes."""
    part = PRESENT.get()
    return x if part is None else part.group.mean(x)


def means(xp: Any, arrays: dict[str, Array]) -> dict[str, Array]:
    """The means of arrays over processes, in one message."""
    part = PRESENT.get()
    if part is None:
        return arrays
    flat: Any = part.group.mean(xp.concat([xp.reshape(a, (-1,)) for a in arrays.values()], axis=0))
    found, begin = {}, 0
    for name, a in arrays.items():
        end = begin + math.prod(a.shape)
        found[name], begin = xp.reshape(flat[begin:end], tuple(a.shape)), end
    return found


def total(count: int) -> int:
    """Number of examples of the whole batch, of which this process has `count`."""
    part = PRESENT.get()
    return count if part is None else part.total


def average(count: int) -> float:
    """Mean number of examples of a process, of which this one has `count`."""
    part = PRESENT.get()
    return float(count) if part is None else part.total / part.group.size


def drawn(draw: Callable[[tuple[int, ...]], Array], shape: tuple[int, ...], axis: int) -> Array:
    """Random numbers for the examples along an axis, as of the whole batch: `draw` gives them of a shape."""
    part = PRESENT.get()
    if part is None:
        return draw(shape)
    whole: Any = draw((*shape[:axis], part.total, *shape[axis + 1 :]))
    return whole[(slice(None),) * axis + (part.rows,)]
