"""A network of cells as a function of one step, from inputs and named state tensors to outputs and the next state."""

from __future__ import annotations

from typing import Any

from neko.backend.protocol import Backend
from neko.errors import ExchangeError
from neko.models import Model
from neko.models.layer import layer_step, layer_weights
from neko.models.network import Network, Params, layer_params
from neko.typing import Array

State = dict[str, Array]
"""The tensors of a state by name: ``layers.<i>.<field>``, each (batch, n), and ``readout.f`` of a leaky readout."""


def check(model: Any) -> Model:
    """The model, if it is a network of cells that can be computed step by step; else ExchangeError with the reason."""
    if not isinstance(model, Model):
        raise ExchangeError(f"{model!r}: expected a neko.Model, a network of cells; your own module needs no export")
    if not model.params:
        raise ExchangeError(f"{model!r} has no weights yet: expected a built network, by `build` or by training")
    if model.bidirectional:
        raise ExchangeError(f"{model!r} reads sequences from their end too: it has no step; expected one direction")
    return model


def rest(xp: Backend, network: Network, batch: int) -> State:
    """The state before the first step."""
    start = network.initial_state(xp, batch)
    found = {
        f"layers.{i}.{field}": value
        for i, h in enumerate(start.layers)
        for field, value in zip(h._fields, h, strict=True)
        if value is not None
    }
    return found | ({"readout.f": start.readout} if network.readout.kappa else {})


def step(xp: Backend, network: Network, params: Params, x: Array, state: State) -> tuple[Array, State]:
    """Outputs (batch, outputs) and the next state for inputs (batch, n_in) of one step."""
    z = network.received(xp, x)
    after: State = {}
    for i, cell in enumerate(network.cells):
        advance, drive = layer_step(xp, cell, layer_weights(xp, cell, layer_params(params, i)), z)
        h, _ = advance(cell.State(*(state.get(f"layers.{i}.{field}") for field in cell.State._fields)), drive)
        named = {f"layers.{i}.{field}": value for field, value in zip(h._fields, h, strict=True)}
        after |= {name: value for name, value in named.items() if value is not None}
        z = h[-1]
    f, y = network.readout.outputs(xp, params, xp.expand_dims(z, axis=0), state.get("readout.f"))
    return y[0], after | ({"readout.f": f} if network.readout.kappa else {})
