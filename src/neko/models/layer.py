"""A layer of cells over time, by a scan or by the kernels that its backend generates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from neko import tree
from neko.backend.generated import Same, once
from neko.backend.protocol import Backend
from neko.cells.base import Cell
from neko.cells.learnable import bound, learnt
from neko.models.asymmetric import Asymmetric, each, product
from neko.typing import Array


class Weights(NamedTuple):
    """Weights onto the currents of a layer: from its input (n_in, blocks n), from itself (n, blocks n) without those of
    missing autapses, and its bias (k n); matrices may be `Asymmetric`. Then the parameters of the constants that learn,
    in the order of the cell."""

    w_in: Any
    w_rec: Any
    b: Array | None
    constants: tuple[Array, ...] = ()


class LayerTrace(NamedTuple):
    """One layer over time, (time, batch, …): its inputs, and its emissions before and after each step.

    ``steps`` determines the Jacobians of the steps: `States`, or the tape of generated kernels.
    """

    x: Array
    emitted: Array
    z: Array
    steps: Any


class States(NamedTuple):
    """The states before each step, and the currents and then the parameters of constants that learn, (time, batch, n)
    each."""

    before: Any
    currents: tuple[Array, ...]


def layer_weights(xp: Backend, cell: Cell, params: dict[str, Any]) -> Weights:
    """The weights of a layer from its parameters."""
    constants = tuple(params[f"constants.{name}"] for name in learnt(cell))
    if not cell.recurrent_currents:
        return Weights(params["w_in"], None, params.get("b"), constants)
    w_rec = params["w_rec"]

    def masked() -> Any:
        return each(lambda w: recurrent_weights(xp, cell, w), w_rec)

    # A history of derivatives belongs to the pass that recorded it.
    recorded = any(getattr(w, "requires_grad", False) for w in tree.leaves(w_rec))
    found = masked() if recorded else once(("masked", xp, Same(w_rec)), masked)
    return Weights(params["w_in"], found, params.get("b"), constants)


def layer_of(xp: Backend, cell: Cell, weights: Weights, x: Array, state: Any) -> Any:
    """The fastest form of a layer that computes what its cell's ``dynamics`` says; kernels have symmetric credit."""
    if any(isinstance(w, Asymmetric) for w in weights):
        return Scanned(xp, cell)
    layer = xp.kernels(cell, state).layer
    return layer if layer is not None and layer.agrees(weights, x, state) else Scanned(xp, cell)


def scanned(xp: Backend, cell: Cell, weights: Weights, x: Array, state: Any) -> Scanned:
    """The form of a layer in which all its states are known."""
    return Scanned(xp, cell)


@dataclass(frozen=True, eq=False)
class Scanned:
    """A layer by a scan of its cell's step."""

    xp: Backend
    cell: Cell

    def unroll(self, weights: Weights, x: Array, state: Any) -> tuple[Any, Array]:
        """The last state, and the emissions (time, batch, n)."""
        step, feed = layer_step(self.xp, self.cell, weights, x)

        def emit(h: Any, drive: Any) -> tuple[Any, Array]:
            h, _ = step(h, drive)
            return h, h[-1]

        last, z = self.xp.scan(emit, state, feed)
        return last, z

    def record(self, weights: Weights, x: Array, state: Any) -> tuple[Any, Array, Array, States]:
        """The last state, the emissions before and after each step, and the steps."""
        step, feed = layer_step(self.xp, self.cell, weights, x)

        def keep(h: Any, drive: Any) -> tuple[Any, Any]:
            after, currents = step(h, drive)
            return after, States(h, currents)

        last, states = self.xp.scan(keep, state, feed)
        emitted = states.before[-1]
        constants = (self.xp.zeros_like(emitted) + theta for theta in weights.constants)
        states = states._replace(currents=(*states.currents, *constants))
        return last, emitted, following(self.xp, emitted, last[-1]), states


def following(xp: Backend, before: Array, last: Array) -> Array:
    """The sequence one step later: all but the first of `before`, then `last`."""
    return xp.concat([before[1:], xp.expand_dims(last, axis=0)], axis=0)


def layer_step(xp: Backend, cell: Cell, weights: Weights, x: Array) -> tuple[Any, tuple[Array | None, ...]]:
    """The step ``(h, drive) -> (h, currents)`` of a layer, and the drive of all steps at once.

    The input's product needs no recurrence, so it is one matrix product over the whole sequence.
    """
    w_rec, valued = weights.w_rec, bound(xp, cell, weights.constants)
    projected = split(product(xp, xp.dense, x, weights.w_in), len(cell.input_currents))
    bias = None if weights.b is None else split(weights.b, cell.n_currents)
    feed: list[Array | None] = [None] * cell.n_currents
    for current, drive in zip(cell.input_currents, projected, strict=True):
        feed[current] = drive if bias is None else drive + bias[current]
    for current in set(range(cell.n_currents)) - {*cell.input_currents, *cell.recurrent_currents}:
        nothing = xp.zeros_like(projected[0])
        feed[current] = nothing if bias is None else nothing + bias[current]

    def step(h: Any, drive: tuple[Array | None, ...]) -> tuple[Any, tuple[Array, ...]]:
        currents = list(drive)
        fed_back = None if w_rec is None else product(xp, xp.dense, h[-1], w_rec)
        recurrent = () if fed_back is None else split(fed_back, len(cell.recurrent_currents))
        for current, block in zip(cell.recurrent_currents, recurrent, strict=True):
            fed = currents[current]
            if fed is None:
                fed = None if bias is None else bias[current]
            currents[current] = block if fed is None else fed + block
        return valued.dynamics(xp, h, *currents), tuple(currents)

    return step, tuple(feed)


def recurrent_weights(xp: Backend, cell: Cell, w_rec: Array) -> Array:
    """``w_rec``, with a zero diagonal where the cell has no autapses."""
    if cell.autapses:
        return w_rec
    others = 1.0 - xp.eye(cell.units)
    blocks = len(cell.recurrent_currents)
    return w_rec * (others if blocks == 1 else xp.concat([others] * blocks, axis=1))


def split(a: Array, count: int) -> tuple[Array, ...]:
    """`count` equal blocks of the last axis."""
    n = a.shape[-1] // count
    return (a,) if count == 1 else tuple(a[..., i * n : (i + 1) * n] for i in range(count))
