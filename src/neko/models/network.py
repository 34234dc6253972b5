"""Layers of cells and a readout, unrolled over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from neko.backend.protocol import Backend
from neko.cells.base import Cell
from neko.models import initializers
from neko.models.readout import LeakyReadout
from neko.typing import Array

Params = dict[str, Array]


class NetworkState(NamedTuple):
    """The state of a network: one per layer, and the readout's filtered drive f."""

    layers: tuple[Any, ...]
    readout: Array


class LayerTrace(NamedTuple):
    """One layer over time, (time, batch, …): the states before each step, currents, inputs and emissions."""

    before: Any
    currents: tuple[Array, ...]
    x: Array
    z: Array


@dataclass(frozen=True, eq=False)
class Network:
    """A stack of cell layers with a leaky readout on the last one.

    Layer *l* computes ``I_t = x_t @ w_in + z_{t-1} @ w_rec (+ b)`` and passes its emission to layer
    *l + 1* in the same step. Time leads: inputs are (time, batch, n_in).

    Parameters
    ----------
    cells : tuple of Cell
        One per layer, from input to output.
    readout : LeakyReadout
        The output layer.
    """

    cells: tuple[Cell, ...]
    readout: LeakyReadout

    def __post_init__(self) -> None:
        if not self.cells or not all(isinstance(cell, Cell) for cell in self.cells):
            raise ValueError(f"cells={self.cells!r}: expected one Cell or more, for example (ALIF(128),)")
        if {cell.dt for cell in self.cells} != {self.readout.dt}:
            steps = [cell.dt for cell in self.cells]
            raise ValueError(f"time steps differ: cells have dt={steps!r}, the readout dt={self.readout.dt!r}")

    def parameters(self, n_in: int, seed: int | tuple[int, ...]) -> dict[str, np.ndarray]:
        """Initial weights as float64 NumPy arrays, the same for every backend."""
        rng = np.random.default_rng(seed)
        params: dict[str, np.ndarray] = {}
        for i, cell in enumerate(self.cells):
            n = cell.units
            recurrent = "fan_in_normal" if cell.spiking else "orthogonal"
            params[f"layers.{i}.w_in"] = initializers.draw("fan_in_normal", rng, (n_in, n), len(cell.input_currents))
            if cell.recurrent_currents:
                params[f"layers.{i}.w_rec"] = initializers.draw(recurrent, rng, (n, n), len(cell.recurrent_currents))
            if cell.bias:
                params[f"layers.{i}.b"] = np.zeros(cell.n_currents * n)
            n_in = n
        params["readout.w_out"] = initializers.fan_in_normal(rng, (n_in, self.readout.units))
        params["readout.b_out"] = np.zeros(self.readout.units)
        return params

    def initial_state(self, xp: Backend, batch: int) -> NetworkState:
        """The state before the first step."""
        layers = tuple(cell.initial_state(xp, batch) for cell in self.cells)
        return NetworkState(layers, xp.zeros((batch, self.readout.units)))

    def unroll(
        self, xp: Backend, params: Params, x: Array, state: NetworkState
    ) -> tuple[NetworkState, Array, tuple[Array, ...]]:
        """Outputs (time, batch, n_out) and the emissions of every layer (time, batch, n)."""
        last, emissions = [], []
        for i, cell in enumerate(self.cells):
            step, feed = layer_step(xp, cell, layer_params(params, i), x)

            def emit(h: Any, drive: Any, step: Any = step) -> tuple[Any, Array]:
                h, _ = step(h, drive)
                return h, h[-1]

            h, x = xp.scan(emit, state.layers[i], feed)
            last.append(h)
            emissions.append(x)
        f, y = self.readout.outputs(xp, params, x, state.readout)
        return NetworkState(tuple(last), f), y, tuple(emissions)

    def record(
        self, xp: Backend, params: Params, x: Array, state: NetworkState
    ) -> tuple[NetworkState, Array, tuple[LayerTrace, ...]]:
        """As `unroll`, but with every state and current, for online rules and plots."""
        last, traces = [], []
        for i, cell in enumerate(self.cells):
            step, feed = layer_step(xp, cell, layer_params(params, i), x)

            def keep(h: Any, drive: Any, step: Any = step) -> tuple[Any, Any]:
                after, currents = step(h, drive)
                return after, (h, currents)

            h, (before, currents) = xp.scan(keep, state.layers[i], feed)
            last.append(h)
            z = following(xp, before[-1], h[-1])
            traces.append(LayerTrace(before, currents, x, z))
            x = z
        f, y = self.readout.outputs(xp, params, x, state.readout)
        return NetworkState(tuple(last), f), y, tuple(traces)


def following(xp: Backend, before: Array, last: Array) -> Array:
    """The sequence one step later: all but the first of `before`, then `last`."""
    return xp.concat([before[1:], xp.expand_dims(last, axis=0)], axis=0)


def layer_params(params: Params, index: int) -> Params:
    """The parameters of one layer, by their short names."""
    prefix = f"layers.{index}."
    return {name.removeprefix(prefix): p for name, p in params.items() if name.startswith(prefix)}


def layer_step(xp: Backend, cell: Cell, params: Params, x: Array) -> tuple[Any, tuple[Array | None, ...]]:
    """The step ``(h, drive) -> (h, currents)`` of a layer, and the drive of all steps at once.

    The input's product needs no recurrence, so it is one matrix product over the whole sequence.
    """
    w_rec = recurrent_weights(xp, cell, params["w_rec"]) if cell.recurrent_currents else None
    projected = split(x @ params["w_in"], len(cell.input_currents))
    bias = split(params["b"], cell.n_currents) if "b" in params else None
    feed: list[Array | None] = [None] * cell.n_currents
    for current, drive in zip(cell.input_currents, projected, strict=True):
        feed[current] = drive if bias is None else drive + bias[current]
    for current in set(range(cell.n_currents)) - {*cell.input_currents, *cell.recurrent_currents}:
        nothing = xp.zeros_like(projected[0])
        feed[current] = nothing if bias is None else nothing + bias[current]

    def step(h: Any, drive: tuple[Array | None, ...]) -> tuple[Any, tuple[Array, ...]]:
        currents = list(drive)
        recurrent = () if w_rec is None else split(h[-1] @ w_rec, len(cell.recurrent_currents))
        for current, block in zip(cell.recurrent_currents, recurrent, strict=True):
            fed = currents[current]
            if fed is None:
                fed = None if bias is None else bias[current]
            currents[current] = block if fed is None else fed + block
        return cell.dynamics(xp, h, *currents), tuple(currents)

    return step, tuple(feed)


def recurrent_weights(xp: Backend, cell: Cell, w_rec: Array) -> Array:
    """``w_rec``, with a zero diagonal where the cell has no autapses."""
    if cell.autapses:
        return w_rec
    return w_rec * xp.concat([1.0 - xp.eye(cell.units)] * len(cell.recurrent_currents), axis=1)


def split(a: Array, count: int) -> tuple[Array, ...]:
    """`count` equal blocks of the last axis."""
    n = a.shape[-1] // count
    return (a,) if count == 1 else tuple(a[..., i * n : (i + 1) * n] for i in range(count))
