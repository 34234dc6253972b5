"""The gradient of a layer by the backward recurrence, over one chunk of a sequence and on to the chunk before it."""

from __future__ import annotations

from typing import NamedTuple

from neko.backend.protocol import Backend
from neko.cells.jacobian import Entries
from neko.rules.jacobian import Jacobians
from neko.rules.synapses import Inputs
from neko.typing import Array

Blocks = tuple[tuple[Array, ...], ...]
"""A gradient (n_pre, n) per layer and current."""


class Later(NamedTuple):
    """Credit from the chunks after a chunk: ``readout`` (batch, n_out) the future credit of its drive at their first
    step, ``layers`` that of the state before it, per field (batch, n), None for fields that carry none."""

    readout: Array
    layers: tuple[Entries, ...]


def layer_blocks(
    xp: Backend, jacobians: Jacobians, pre: tuple[Inputs, ...], future: Array, later: Entries | None
) -> tuple[Entries, tuple[Array, ...]]:
    """Credit at the state before the first step, and the gradient (n_pre, n) per current, from the future credit of
    each emission and the credit `later` at the last state, None at the end of a sequence."""
    if later is None:
        nothing = xp.zeros_like(future[0])
        later = tuple(nothing if alive else None for alive in jacobians.alive)
    before, delta = jacobians.adjoint(future, later)
    # One product per array: joining them first would copy the whole input.
    pairs = zip(pre, delta, strict=True)
    return before, tuple(xp.concat([xp.outer_sum(a, d) for a in arrays], axis=0) for arrays, d in pairs)
