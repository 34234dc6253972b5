"""Sequences of many lengths, padded to a few, since a framework that compiles does so for every new shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from neko import arguments, containers


class Lengths:
    """To which lengths batches of sequences are padded; a padded frame counts nowhere.

    The length of the first batch stays as it is, so that batches of one length are never padded. Others are padded to
    the next of `steps`, or to the next power of two.

    Parameters
    ----------
    steps : sequence of int, optional
        The lengths to pad to; longer sequences stay as they are. By default powers of two.
    sparse : bool
        Whether targets are class numbers.
    """

    def __init__(self, steps: Sequence[int] | None = None, *, sparse: bool = False) -> None:
        given = None if steps is None else arguments.as_list("lengths", steps, "[100, 200, 400]")
        self.steps = None if given is None else sorted(arguments.check_integer("lengths", n) for n in given)
        self.sparse = sparse
        self.first: int | None = None

    def of(self, time: int) -> int:
        """The length that sequences of `time` steps get."""
        self.first = time if self.first is None else self.first
        steps = [1 << (time - 1).bit_length()] if self.steps is None else self.steps
        return min((n for n in (self.first, *steps) if n >= time), default=time)

    def pad(self, x: Any, y: Any, mask: Any) -> tuple[Any, Any, Any]:
        """A batch whose inputs are (batch, time, n_in), with frames of zeros at the end that its mask leaves out."""
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
