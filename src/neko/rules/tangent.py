r"""One step of a network's Jacobian, applied to a change of its state.

A change v of the states before a step and a change ξ of the step's currents lead to

.. math::
    v_t = J_t v_{t-1} + b_t ξ_t.

J_t includes all paths: the neuron's own state, the recurrent weights and, within the step, the layers below. Axes
between batch and neuron are independent changes. The influence of a weight is such a change, and so is what a rule
keeps in its place.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import NamedTuple

from neko.backend.protocol import Backend
from neko.cells.base import Cell
from neko.cells.jacobian import Entries, StepJacobian
from neko.models.layer import recurrent_weights, split
from neko.models.network import Params
from neko.rules.jacobian import combine
from neko.typing import Array

Fields = tuple[Array, ...]
"""A change of each state field of a layer, (batch, …, n)."""
Tangent = tuple[Fields | None, ...]
"""A change of the state of each layer, None where it is zero."""


class CurrentWeights(NamedTuple):
    """The weights of a layer, one matrix per current, None for a current without input or recurrent weights."""

    w_in: Entries
    w_rec: Entries


class Shape(NamedTuple):
    """Sizes of a layer: sequences, neurons, state fields, and rows of presynaptic activity per current."""

    batch: int
    units: int
    fields: int
    rows: tuple[int, ...]


class Step(NamedTuple):
    """One step of consecutive layers: their numbers of neurons, weights, Jacobians, and presynaptic activity (batch,
    n_pre) per current."""

    units: tuple[int, ...]
    weights: tuple[CurrentWeights, ...]
    jacobians: tuple[StepJacobian, ...]
    pre: tuple[tuple[Array, ...], ...]

    def push(self, xp: Backend, tangent: Tangent, kicks: Sequence[Entries | None] | None = None) -> Tangent:
        """``J_t v + b_t ξ``, see `neko.rules.tangent.push`."""
        return push(xp, self.weights, self.jacobians, tangent, self.still if kicks is None else kicks)

    @property
    def still(self) -> tuple[None, ...]:
        """No change of any layer."""
        return (None,) * len(self.units)

    def kick(self, layer: int, current: int, change: Array) -> tuple[Entries | None, ...]:
        """The change of one current of one layer."""
        own = tuple(change if c == current else None for c in range(len(self.pre[layer])))
        return tuple(own if i == layer else None for i in range(len(self.units)))


def build_weights(xp: Backend, cell: Cell, params: Params) -> CurrentWeights:
    """The weight matrices of a layer, by current."""
    w_in: list[Array | None] = [None] * cell.n_currents
    w_rec: list[Array | None] = [None] * cell.n_currents
    for current, w in zip(cell.input_currents, split(params["w_in"], len(cell.input_currents)), strict=True):
        w_in[current] = w
    if cell.recurrent_currents:
        masked = recurrent_weights(xp, cell, params["w_rec"])
        for current, w in zip(cell.recurrent_currents, split(masked, len(cell.recurrent_currents)), strict=True):
            w_rec[current] = w
    return CurrentWeights(tuple(w_in), tuple(w_rec))


def push(
    xp: Backend,
    weights: Sequence[CurrentWeights],
    jacobians: Sequence[StepJacobian],
    tangent: Tangent,
    kicks: Sequence[Entries | None],
) -> Tangent:
    """``J_t v + b_t ξ`` of consecutive layers, no change of whose input comes from below the first.

    `kicks` is ξ of each layer, per current (batch, …, n); None where it is zero.
    """
    later: list[Fields | None] = []
    for layer, jacobian, fields, kick in zip(weights, jacobians, tangent, kicks, strict=True):
        below = later[-1][-1] if later and later[-1] is not None else None
        recurrent = None if fields is None else fields[-1]
        currents: list[Array | None] = []
        for c in range(len(jacobian.current[0])):
            terms = [] if kick is None or kick[c] is None else [kick[c]]
            for matrices, change in ((layer.w_rec, recurrent), (layer.w_in, below)):
                # a current without weights, as that of a trainable constant, is not in the list
                w = matrices[c] if c < len(matrices) else None
                terms += [] if w is None or change is None else [change @ w]
            currents.append(functools.reduce(operator.add, terms) if terms else None)
        later.append(stepped(xp, jacobian, fields, tuple(currents)))
    return tuple(later)


def stepped(xp: Backend, jacobian: StepJacobian, fields: Fields | None, currents: Entries) -> Fields | None:
    """The change of one layer's fields, ``Σ_j A[i][j] v[j] + Σ_c b[i][c] ξ_c`` of field i."""
    before = (None,) * len(jacobian.state) if fields is None else fields
    changes = (*before, *currents)
    like = next((change for change in changes if change is not None), None)
    if like is None:
        return None
    shape = (like.shape[0], *[1] * (len(like.shape) - 2), like.shape[-1])
    result = []
    for row in zip(jacobian.state, jacobian.current, strict=True):
        entries = tuple(None if entry is None else xp.reshape(entry, shape) for part in row for entry in part)
        found = combine(entries, changes)
        result.append(xp.zeros_like(like) if found is None else found)
    return tuple(result)


def with_loops(xp: Backend, jacobian: StepJacobian, w_rec: Entries) -> StepJacobian:
    """The Jacobian of each neuron's own step, with its connection to itself through the recurrent weights."""
    loops = tuple(None if w is None else xp.sum(w * xp.eye(w.shape[0]), axis=0) for w in w_rec)
    rows = []
    for row, b in zip(jacobian.state, jacobian.current, strict=True):
        # after the currents with weights follow those of constants
        loop = combine(b[: len(loops)], loops)
        terms = [a for a in (row[-1], loop) if a is not None]
        rows.append((*row[:-1], functools.reduce(operator.add, terms) if terms else None))
    return StepJacobian(tuple(rows), jacobian.current)


def matrix(xp: Backend, jacobian: StepJacobian, weights: CurrentWeights, n: int) -> Array:
    """The Jacobian of a layer's step as a matrix (batch, states, states), with the recurrent weights."""
    rows, last = [], len(jacobian.state) - 1
    for entries, b in zip(jacobian.state, jacobian.current, strict=True):
        blocks = []
        for j, entry in enumerate(entries):
            terms = [] if entry is None else [xp.expand_dims(entry, axis=2) * xp.eye(n)]
            if j == last:
                pairs = zip(b, weights.w_rec, strict=False)
                given = [(slope, w) for slope, w in pairs if slope is not None and w is not None]
                terms += [xp.expand_dims(slope, axis=2) * xp.matrix_transpose(w) for slope, w in given]
            blocks.append(sum(terms) if terms else None)
        rows.append(blocks)
    like = next(block for blocks in rows for block in blocks if block is not None)
    filled = [[xp.zeros_like(like) if block is None else block for block in blocks] for blocks in rows]
    return xp.concat([xp.concat(blocks, axis=2) for blocks in filled], axis=1)
