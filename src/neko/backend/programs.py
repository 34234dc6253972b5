"""How often a framework compiles a step."""

from __future__ import annotations

import warnings
from typing import Any

from neko import tree
from neko.errors import CompilationWarning

MANY = 12
"""Number of batch shapes, each of which needs a compilation, at which a warning is given."""


class Programs:
    """Counts the batch shapes of a step, since a framework that compiles does so for each."""

    def __init__(self, xp: Any, jit: bool) -> None:
        self.name = xp.name
        self.compiles = xp.compiles and jit
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
