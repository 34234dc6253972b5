"""A forward pass with all quantities that online rules need."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from neko.backend.generated import Same
from neko.backend.protocol import Backend
from neko.cells.base import Cell
from neko.evaluator import Evaluator
from neko.models.directions import Direction, Turn
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


class DirectionPass(NamedTuple):
    """The forward pass of one direction: the function that turns arrays to its order; inputs and valid frames in it;
    the outputs, in the order of the sequence; the trace and step Jacobians of every layer, in that of the direction."""

    turn: Turn
    x: Array
    valid: Array
    outputs: Array
    traces: tuple[LayerTrace, ...]
    jacobians: tuple[Jacobians, ...]


SHARED: ContextVar[dict[Any, Any] | None] = ContextVar("shared", default=None)
"""What rules have recorded in a region of `shared`, by all that it is computed from; None outside of one."""


@contextlib.contextmanager
def shared() -> Iterator[dict[Any, Any]]:
    """A region in which `record_directions` runs a forward pass once for all rules that record the same: equal cells,
    after the cuts of the rule, and the very same arrays of parameters and inputs. So it is with the error of its
    outputs, for the very same targets.

    No rule knows of it. What was recorded is kept until the end of the region.
    """
    known: dict[Any, Any] = {}
    token = SHARED.set(known)
    try:
        yield known
    finally:
        SHARED.reset(token)


def once(key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
    """``make()``, computed once in a region of `shared`; `key` must hold all that it is computed from."""
    known = SHARED.get()
    if known is None:
        return make()
    if key not in known:
        known[key] = make()
    return known[key]


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
    jacobians = differentiated(xp, network, traces)
    return state, Recorded(loss, outputs, error, network.readout.credit(xp, error, later), traces, jacobians)


def record_directions(
    xp: Backend,
    model: Evaluator,
    params: Params,
    batch: Batch,
    cut: Callable[[Cell], Cell],
) -> list[tuple[Direction, Batch, Recorded]]:
    """As `record` from rest, for each direction of the network: the batch and all that was recorded are in the order of
    the direction, the loss and its outputs are those of the whole network."""
    network, objective = without_paths(model.network, cut), model.objective
    passes = [direction_pass(xp, network, d, d.own(params), batch) for d in model.model.directions]

    def judged() -> tuple[Any, ...]:
        y = sum((p.outputs for p in passes[1:]), passes[0].outputs)
        loss, error = objective.error(xp, y, batch)
        turned = [p.turn(error) for p in passes]
        credits = [network.readout.credit(xp, own, None) for own in turned]
        return loss, objective.pooled(xp, y, batch), turned, credits

    arrays = (*(p.outputs for p in passes), batch.target, batch.weight, batch.pooling)
    loss, outputs, errors, credits = once(("error", value(objective), *map(Same, arrays)), judged)
    found = []
    for direction, p, error, credit in zip(model.model.directions, passes, errors, credits, strict=True):
        recorded = Recorded(loss, outputs, error, credit, p.traces, p.jacobians)
        # The rest of the batch, such as its targets, is not part of the pass.
        found.append((direction, batch._replace(x=p.x, valid=p.valid), recorded))
    return found


def direction_pass(xp: Backend, network: Network, direction: Direction, params: Params, batch: Batch) -> DirectionPass:
    """The forward pass of a direction from rest, or the one that another rule has recorded."""

    def made() -> DirectionPass:
        turn = direction.turn(xp, batch.valid)
        x, valid = turn(batch.x), turn(batch.valid)
        _, y, traces = network.record(xp.forward_only(), params, x, network.initial_state(xp, x.shape[1]))
        return DirectionPass(turn, x, valid, turn(y), traces, differentiated(xp, network, traces))

    parts = map(values, (*network.cells, network.readout))
    arrays = ((name, Same(a)) for name, a in sorted(params.items()))
    return once((direction, *parts, *arrays, Same(batch.x), Same(batch.valid)), made)


def values(thing: Any) -> tuple[Any, ...]:
    """A cell or readout by its class and attributes, to tell whether two are equal."""
    return (type(thing), *((name, value(a)) for name, a in sorted(vars(thing).items())))


def value(a: Any) -> Any:
    """A hashable stand-in of an attribute: the numbers of a NumPy array, any other array by its identity."""
    if isinstance(a, np.ndarray):
        return (a.shape, a.dtype.str, a.tobytes())
    try:
        hash(a)
    except TypeError:
        return Same(a)
    return Same(a) if hasattr(a, "dtype") and hasattr(a, "shape") and a.shape else a


def without_paths(network: Network, cut: Callable[[Cell], Cell]) -> Network:
    """The network of cut cells, whose values are the same."""
    return replace(network, cells=tuple(map(cut, network.cells)))


def differentiated(xp: Backend, network: Network, traces: tuple[LayerTrace, ...]) -> tuple[Jacobians, ...]:
    """The Jacobians of the steps of every layer."""
    return tuple(step_jacobians(xp, cell, trace) for cell, trace in zip(network.cells, traces, strict=True))
