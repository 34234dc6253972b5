"""By what a framework compiles a step, and how often."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

from neko import tree
from neko.backend.protocol import Compiled
from neko.errors import CompilationWarning

MANY = 12
"""Number of batch shapes, each of which needs a compilation, at which a warning is given."""


class Programs:
    """Counts the batch shapes of a step, since a framework that compiles does so for each."""

    def __init__(self, xp: Any, jit: bool | str) -> None:
        self.name = xp.name
        self.compiles = xp.compiles and bool(jit)
        self.shapes: set[str] = set()

    def count(self, batch: Any) -> None:
        """Note the shapes of a batch; CompilationWarning, once, where there are many."""
        if not self.compiles:
            return
        shapes = str([tuple(a.shape) for a in tree.leaves(batch)])
        if shapes in self.shapes:
            return
        self.shapes.add(shapes)
        if len(self.shapes) == MANY:
            warnings.warn(
                f"{self.name} has compiled this rule for {MANY} shapes of batches, and compiles for each new one: pad "
                "sequences to a few lengths with a mask (of a loader: Trainer.train(…, lengths=[…])), and give batches "
                "one size",
                CompilationWarning,
                stacklevel=5,
            )


def compiler(xp: Any, jit: Any) -> Callable[[Callable[..., Any]], Any]:
    """What compiles a step: nothing for False, the backend's own way for True, XLA on TensorFlow for 'xla'."""
    if jit not in (True, False, "xla"):
        raise ValueError(f"jit={jit!r}: expected True, False, or 'xla' on TensorFlow")
    if jit == "xla":
        if xp.name != "tensorflow":
            raise ValueError(f"jit='xla' on {xp.name}: expected True, by which JAX uses XLA; it is for TensorFlow")
        found: Callable[[Callable[..., Any]], Any] = xp.xla
        return found
    return xp.jit if jit else functools.partial(Compiled, xp, itself)


def itself(f: Callable[..., Any]) -> Callable[..., Any]:
    """`f`, uncompiled."""
    return f
