"""From gradients per current to gradients per weight.

All weights onto one current, ``w_in``, ``w_rec`` and ``b``, differ only in their presynaptic activity. Rules treat them
as one matrix (n_pre, n), whose rows are inputs, then neurons, then the constant 1. A constant that learns is treated as
one more current, after those of the cell: its parameter acts on the step as a bias does, by a matrix (1, n).
"""

from __future__ import annotations

from neko.backend.protocol import Backend
from neko.cells.base import Cell
from neko.cells.learnable import learnt
from neko.models.layer import LayerTrace, recurrent_weights
from neko.models.network import Network, Params
from neko.typing import Array

Inputs = tuple[Array, ...]
"""Presynaptic activity of one current: arrays (time, batch, rows), one after another in the matrix."""


def presynaptic(xp: Backend, cell: Cell, trace: LayerTrace) -> tuple[Inputs, ...]:
    """Presynaptic activity of the weights onto each current."""
    emitted = trace.emitted
    one = xp.ones_like(emitted[..., :1])
    result = []
    for current in range(cell.n_currents):
        arrays = [trace.x] if current in cell.input_currents else []
        arrays += [emitted] if current in cell.recurrent_currents else []
        arrays += [one] if cell.bias else []
        result.append(tuple(arrays) or (emitted[..., :0],))  # without any input: a matrix without rows
    return (*result, *((one,) for _ in learnt(cell)))


def weight_gradients(xp: Backend, cell: Cell, n_in: int, blocks: tuple[Array, ...]) -> Params:
    """Gradients of ``w_in``, ``w_rec`` and ``b`` from a block (…, n_pre, n) per current, and of the constants that
    learn, by neuron."""
    n = cell.units
    w_in: dict[int, Array] = {}
    w_rec: dict[int, Array] = {}
    bias = []
    for current, block in enumerate(blocks[: cell.n_currents]):
        row = 0
        if current in cell.input_currents:
            w_in[current] = block[..., :n_in, :]
            row = n_in
        if current in cell.recurrent_currents:
            w_rec[current] = block[..., row : row + n, :]
        if cell.bias:
            bias.append(block[..., -1, :])
    gradients = {"w_in": side_by_side(xp, [w_in[c] for c in cell.input_currents])}
    if cell.recurrent_currents:
        # the derivative of the forward pass's mask on w_rec is the mask itself
        found = side_by_side(xp, [w_rec[c] for c in cell.recurrent_currents])
        gradients["w_rec"] = recurrent_weights(xp, cell, found)
    if cell.bias:
        gradients["b"] = side_by_side(xp, bias)
    constants = zip(learnt(cell), blocks[cell.n_currents :], strict=True)
    return gradients | {f"constants.{name}": block[..., 0, :] for name, block in constants}


def layer_gradients(xp: Backend, network: Network, index: int, n_in: int, blocks: tuple[Array, ...]) -> Params:
    """As `weight_gradients` of a layer with `n_in` inputs, by the parameters' full names; the gradient of a constant
    that neurons share is the sum of theirs."""
    cell = network.cells[index]
    found = weight_gradients(xp, cell, n_in, blocks)
    for name, constant in learnt(cell).items():
        if not constant.per_neuron:
            found[f"constants.{name}"] = xp.sum(found[f"constants.{name}"], axis=-1, keepdims=True)
    return {f"layers.{index}.{name}": g for name, g in found.items()}


def joined(xp: Backend, pre: tuple[Inputs, ...]) -> tuple[Array, ...]:
    """One array (time, batch, n_pre) per current."""
    return tuple(side_by_side(xp, list(arrays)) for arrays in pre)


def side_by_side(xp: Backend, blocks: list[Array]) -> Array:
    """Concatenation along the last axis."""
    return blocks[0] if len(blocks) == 1 else xp.concat(blocks, axis=-1)
