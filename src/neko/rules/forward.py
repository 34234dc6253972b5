"""A forward pass with all that an online rule reads."""

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
    and ``credit``, the error of all later steps that the readout's drive still reaches, (time, batch, n_out); per layer
    its trace and its step Jacobians."""

    loss: Array
    outputs: Array
    error: Array
    credit: Array
    traces: tuple[LayerTrace, ...]
    jacobians: tuple[Jacobians, ...]


def record(
    xp: Backend, model: Evaluator, params: Params, batch: Batch, state: NetworkState, cut: Callable[[Cell], Cell]
) -> tuple[NetworkState, Recorded]:
    """Run the network forward; differentiate the loss by the outputs, and each step of each layer.

    `cut` gives the cell that is differentiated in place of a layer's own: without the paths that a rule cuts.
    """
    network, objective = model.network, model.objective
    # Nothing is differentiated through this pass, so spikes need no surrogate.
    state, y, traces = network.record(xp.forward_only(), params, batch.x, state)
    loss, error = objective.error(xp, y, batch)
    jacobians = tuple(step_jacobians(xp, cut(cell), trace) for cell, trace in zip(network.cells, traces, strict=True))
    outputs = objective.pooled(xp, y, batch)
    return state, Recorded(loss, outputs, error, network.readout.credit(xp, error), traces, jacobians)
