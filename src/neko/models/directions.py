"""The directions of time in which a network reads a sequence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from neko.backend.protocol import Backend
from neko.models.network import Params
from neko.typing import Array

Turn = Callable[[Array], Array]
"""From arrays (time, batch, …) in the order of the sequence to the order of a direction, and back."""


@dataclass(frozen=True)
class Direction:
    """One direction, whose parameters and feedback weights have names that begin with `prefix`."""

    prefix: str
    backward: bool

    def own(self, arrays: Params) -> Params:
        """The arrays of this direction, by the names of a network of one direction."""
        mine = {name: a for name, a in arrays.items() if name.startswith(BACKWARD.prefix) == self.backward}
        return {name.removeprefix(self.prefix): a for name, a in mine.items()}

    def named(self, arrays: Params) -> Params:
        """The arrays of this direction by their full names."""
        return {f"{self.prefix}{name}": a for name, a in arrays.items()}

    def turn(self, xp: Backend, valid: Array | None) -> Turn:
        """The order of this direction, for sequences whose frames count where `valid` (time, batch) is above 0."""
        return reversal(xp, valid) if self.backward else unchanged


FORWARD, BACKWARD = Direction("", backward=False), Direction("backward.", backward=True)


def unchanged(a: Array) -> Array:
    return a


def reversal(xp: Backend, valid: Array | None) -> Turn:
    """The function that reverses each sequence up to its last valid frame; padding stays at the end.

    It is its own inverse. Without `valid` all frames are reversed.
    """
    if valid is None:
        return lambda a: xp.flip(a, axis=0)
    time, size = valid.shape
    step = xp.reshape(xp.arange(time), (time, 1))
    length = xp.max((step + 1.0) * xp.astype(valid > 0.0, xp.dtype), axis=0, keepdims=True)
    # The keys of a sequence are its steps in another order, so sorting them gives that order as integers.
    order = xp.argsort(xp.where(step < length, length - 1.0 - step, step + 0.0 * length), axis=0)
    rows = xp.reshape(order * size + xp.arange(size, dtype=order.dtype), (time * size,))

    def turn(a: Array) -> Array:
        return xp.reshape(xp.take(xp.reshape(a, (time * size, *a.shape[2:])), rows, axis=0), a.shape)

    return turn
