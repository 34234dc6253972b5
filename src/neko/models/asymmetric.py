"""Products whose value comes from one matrix and whose credit passes back through another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from neko.backend.protocol import Backend
from neko.typing import Array


class Asymmetric(NamedTuple):
    """A weight W with the matrix B, of the shape of W, through which credit passes back in place of W.

    Without B (None) no credit passes. `seen` is called with what W is multiplied with, if it is given.
    """

    forward: Array
    backward: Array | None
    seen: Callable[[Array], None] | None = None

    def look(self, a: Array) -> None:
        """Show an activity that meets the weight."""
        if self.seen is not None:
            self.seen(a)


def product(xp: Backend, multiply: Callable[[Any, Any], Array], a: Array, w: Any) -> Array:
    """``multiply(a, w)``; of a pair the value ``a W``, with the derivative by W of this product and the derivative by
    `a` of ``a B``.

    B has no derivative: a caller gives it without history.
    """
    if not isinstance(w, Asymmetric):
        return multiply(a, w)
    w.look(a)
    value = multiply(xp.stop_gradient(a), w.forward)
    return value if w.backward is None else with_credit(xp, value, multiply(a, w.backward))


def each(f: Callable[[Array], Array], w: Any) -> Any:
    """``f(w)``, of a pair that of each matrix."""
    if not isinstance(w, Asymmetric):
        return f(w)
    return w._replace(forward=f(w.forward), backward=None if w.backward is None else f(w.backward))


def with_credit(xp: Backend, value: Array, through: Array) -> Array:
    """`value`, to the last bit, with the derivatives of `through` added to its own."""
    return value + (through - xp.stop_gradient(through))
