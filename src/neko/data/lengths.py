"""Padding of sequences to a few lengths, since a framework that compiles does so for every new shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from neko import arguments, containers


class Lengths:
    """The lengths to which batches of sequences are padded, with masked frames.

    The first batch is not padded, so that batches of one length never are. Others are padded to the length of the
    first, the next of `steps`, or the next power of two.

    Parameters
    ----------
    steps : sequence of int, optional
        The lengths to pad to; longer sequences are not padded. By default powers of two.
    sparse : bool
        Whether targets are class numbers.
    """

    def __init__(self, steps: Sequence[int] | None = None, *, sparse: bool = False) -> None:
        given = None if steps is None else arguments.as_list("lengths", steps, "[100, 200, 400]")
        self.steps = None if given is None else sorted(arguments.check_integer("lengths", n) for n in given)
        self.sparse = sparse
        self.first: int | None = None

    def of(self, time: int) -> int:
        """The padded length of sequences of `time` steps."""
        self.first = time if self.first is None else self.first
        steps = [1 << (time - 1).bit_length()] if self.steps is None else self.steps
        return min((n for n in (self.first, *steps) if n >= time), default=time)

    def pad(self, x: Any, y: Any, mask: Any) -> tuple[Any, Any, Any]:
        """A batch with inputs (batch, time, n_in), padded at the end with masked frames of zeros."""
        if len(getattr(x, "shape", ())) != 3:
            return x, y, mask
        size, time = int(x.shape[0]), int(x.shape[1])
        more = self.of(time) - time
        if not more:
            return x, y, mask
        timed = len(y.shape) == (2 if self.sparse else 3)
        mask = np.ones((size, time), np.float32) if mask is None else mask
        return longer("x", x, more), longer("y", y, more) if timed else y, longer("mask", mask, more)


def longer(name: str, a: Any, more: int) -> np.ndarray:
    """`a` (batch, time, …) with `more` frames of zeros."""
    values = containers.as_numpy(name, a)
    return np.pad(values, [(0, 0), (0, more), *[(0, 0)] * (values.ndim - 2)])
