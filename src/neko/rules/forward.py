"""A forward pass with all quantities that online rules need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from neko.backend.protocol import Backend
from neko.cells.base import Cell
from neko.evaluator import Evaluator
from neko.models.directions import Direction
from neko.models.layer import LayerTrace
from neko.models.network import Network, NetworkState, Params
from neko.objective import Batch
from neko.rules.jacobian import Jacobians, step_jacobians
from neko.typing import Array


class Recorded(NamedTuple):
    """The loss; outputs (time, batch, n_out) or, of a sequence-level target, (batch, n_out); ``error`` ∂loss/∂outputs
    and ``credit``, the future credit of the readout's drive, (time, batch, n_out); trace and step Jacobians of every
    layer."""

    loss: Array
    outputs: Array
    error: Array
    credit: Array
    traces: tuple[LayerTrace, ...]
    jacobians: tuple[Jacobians, ...]


def record(
    xp: Backend,
    model: Evaluator,
    network: Network,
    params: Params,
    batch: Batch,
    state: NetworkState,
    later: Array | None = None,
) -> tuple[NetworkState, Recorded]:
    """Run a network of one direction, as `without_paths` returns it; differentiate the loss by the outputs, and each
    step of each layer; `later` is the readout's credit from after the batch."""
    # No derivative is taken through this pass, so spikes need no surrogate.
    state, y, traces = network.record(xp.forward_only(), params, batch.x, state)
    loss, error = model.objective.error(xp, y, batch)
    outputs = model.objective.pooled(xp, y, batch)
    return state, differentiated(xp, network, loss, outputs, error, traces, later)


def record_directions(
    xp: Backend,
    model: Evaluator,
    params: Params,
    batch: Batch,
    cut: Callable[[Cell], Cell],
) -> list[tuple[Direction, Batch, Recorded]]:
    """As `record` from rest, for each direction of the network: the batch and all that was recorded are in the order of
    the direction, the loss and its outputs are those of the whole network."""
    network, objective, passes = without_paths(model.network, cut), model.objective, []
    state = network.initial_state(xp, batch.x.shape[1])
    for direction in model.model.directions:
        turn = direction.turn(xp, batch.valid)
        own = batch._replace(x=turn(batch.x), valid=turn(batch.valid))
        _, y, traces = network.record(xp.forward_only(), direction.own(params), own.x, state)
        passes.append((direction, turn, own, turn(y), traces))
    y = sum((y for _, _, _, y, _ in passes[1:]), passes[0][3])
    loss, error = objective.error(xp, y, batch)
    outputs = objective.pooled(xp, y, batch)
    return [
        (direction, own, differentiated(xp, network, loss, outputs, turn(error), traces))
        for direction, turn, own, _, traces in passes
    ]


def without_paths(network: Network, cut: Callable[[Cell], Cell]) -> Network:
    """The network of cut cells, whose values are the same."""
    return replace(network, cells=tuple(map(cut, network.cells)))


def differentiated(
    xp: Backend,
    network: Network,
    loss: Array,
    outputs: Array,
    error: Array,
    traces: tuple[LayerTrace, ...],
    later: Array | None = None,
) -> Recorded:
    """A forward pass with the Jacobians of its steps and the credit of its readout."""
    pairs = zip(network.cells, traces, strict=True)
    jacobians = tuple(step_jacobians(xp, cell, trace) for cell, trace in pairs)
    return Recorded(loss, outputs, error, network.readout.credit(xp, error, later), traces, jacobians)
