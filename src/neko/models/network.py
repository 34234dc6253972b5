"""Layers of cells and a readout, unrolled over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from neko.backend.protocol import Backend
from neko.cells.base import Cell
from neko.cells.learnable import learnt
from neko.models import initializers
from neko.models.converters import Converters
from neko.models.layer import LayerTrace, layer_of, layer_weights
from neko.models.readout import LeakyReadout
from neko.typing import Array

Params = dict[str, Array]


class NetworkState(NamedTuple):
    """The state of a network: one per layer, and the readout's filtered drive f."""

    layers: tuple[Any, ...]
    readout: Array


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
    converters : Converters, optional
        Those of the inputs; cells and readout hold their own.
    """

    cells: tuple[Cell, ...]
    readout: LeakyReadout
    converters: Converters | None = None

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
            for name, constant in learnt(cell).items():
                params[f"layers.{i}.constants.{name}"] = np.zeros(constant.shape(n))
            n_in = n
        params["readout.w_out"] = initializers.fan_in_normal(rng, (n_in, self.readout.units))
        params["readout.b_out"] = np.zeros(self.readout.units)
        return params

    def initial_state(self, xp: Backend, batch: int) -> NetworkState:
        """The state before the first step."""
        layers = tuple(cell.initial_state(xp, batch) for cell in self.cells)
        return NetworkState(layers, xp.zeros((batch, self.readout.units)))

    def received(self, xp: Backend, x: Array) -> Array:
        """The inputs as they enter the first layer."""
        return x if self.converters is None else self.converters.before(xp, x)

    def unroll(
        self, xp: Backend, params: Params, x: Array, state: NetworkState
    ) -> tuple[NetworkState, Array, tuple[Array, ...]]:
        """The last state, outputs (time, batch, n_out) and the emissions of every layer (time, batch, n)."""
        last, emissions = self.emit(xp, params, x, state)
        f, y = self.readout.outputs(xp, params, emissions[-1], state.readout)
        return NetworkState(last, f), y, emissions

    def advance(
        self, xp: Backend, params: Params, x: Array, state: NetworkState
    ) -> tuple[NetworkState, tuple[Array, ...]]:
        """As `unroll`, without the outputs."""
        last, emissions = self.emit(xp, params, x, state)
        return NetworkState(last, self.readout.after(xp, params, emissions[-1], state.readout)), emissions

    def emit(
        self, xp: Backend, params: Params, x: Array, state: NetworkState, layer: Any = layer_of
    ) -> tuple[tuple[Any, ...], tuple[Array, ...]]:
        """The last state and the emissions (time, batch, n) of every layer, each in the form that `layer` gives."""
        last, emissions = [], []
        x = self.received(xp, x)
        for i, cell in enumerate(self.cells):
            weights = layer_weights(xp, cell, layer_params(params, i))
            h, x = layer(xp, cell, weights, x, state.layers[i]).unroll(weights, x, state.layers[i])
            last.append(h)
            emissions.append(x)
        return tuple(last), tuple(emissions)

    def record(
        self, xp: Backend, params: Params, x: Array, state: NetworkState, layer: Any = layer_of
    ) -> tuple[NetworkState, Array, tuple[LayerTrace, ...]]:
        """As `unroll`, but with what online rules need of every layer; with ``layer=scanned`` all its states."""
        last, traces = [], []
        x = self.received(xp, x)
        for i, cell in enumerate(self.cells):
            weights = layer_weights(xp, cell, layer_params(params, i))
            h, emitted, z, steps = layer(xp, cell, weights, x, state.layers[i]).record(weights, x, state.layers[i])
            last.append(h)
            traces.append(LayerTrace(x, emitted, z, steps))
            x = z
        f, y = self.readout.outputs(xp, params, x, state.readout)
        return NetworkState(tuple(last), f), y, tuple(traces)


def layer_params(params: Params, index: int) -> Params:
    """The parameters of one layer, by their short names."""
    prefix = f"layers.{index}."
    return {name.removeprefix(prefix): p for name, p in params.items() if name.startswith(prefix)}
