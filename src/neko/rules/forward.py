"""A forward pass with all quantities that online rules need."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from neko.backend.protocol import Backend
from neko.cells.base import Cell
from neko.evaluator import Evaluator
from neko.models.network import LayerTrace, NetworkState, Params
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
    xp: Backend, model: Evaluator, params: Params, batch: Batch, state: NetworkState, cut: Callable[[Cell], Cell]
) -> tuple[NetworkState, Recorded]:
    """Run the network; differentiate the loss by the outputs, and each step of each layer with the paths removed that
    `cut` cuts from its cell."""
    network, objective = model.network, model.objective
    # No derivative is taken through this pass, so spikes need no surrogate.
    state, y, traces = network.record(xp.forward_only(), params, batch.x, state)
    loss, error = objective.error(xp, y, batch)
    jacobians = tuple(step_jacobians(xp, cut(cell), trace) for cell, trace in zip(network.cells, traces, strict=True))
    outputs = objective.pooled(xp, y, batch)
    return state, Recorded(loss, outputs, error, network.readout.credit(xp, error), traces, jacobians)
