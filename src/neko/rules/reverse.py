"""The gradient of a three-factor rule by the backward recurrence, of a sequence at once or in chunks from its end."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, NamedTuple

from neko import tree
from neko.backend.protocol import Backend
from neko.cells.jacobian import Entries
from neko.evaluator import Evaluator
from neko.models.network import NetworkState, Params
from neko.models.readout import LeakyReadout
from neko.objective import Batch, spike_count
from neko.rules.chunking import Chunk, parted
from neko.rules.forward import Recorded
from neko.rules.jacobian import Jacobians
from neko.rules.synapses import Inputs, layer_gradients, presynaptic
from neko.typing import Array

if TYPE_CHECKING:
    from neko.rules.online.three_factor import ThreeFactor

Blocks = tuple[tuple[Array, ...], ...]
"""A gradient (n_pre, n) per layer and current."""


class Later(NamedTuple):
    """Credit from the chunks after a chunk: ``readout`` (batch, n_out) the future credit of its drive at their first
    step, ``layers`` that of the state before it, per field (batch, n), None for fields that carry none."""

    readout: Array
    layers: tuple[Entries, ...]


def layer_blocks(
    xp: Backend, jacobians: Jacobians, pre: tuple[Inputs, ...], future: Array, later: Entries | None
) -> tuple[Entries, tuple[Array, ...]]:
    """Credit at the state before the first step, and the gradient (n_pre, n) per current, from the future credit of
    each emission and the credit `later` at the last state, None at the end of a sequence."""
    if later is None:
        nothing = xp.zeros_like(future[0])
        later = tuple(nothing if alive else None for alive in jacobians.alive)
    before, delta = jacobians.adjoint(future, later)
    # One product per array: joining them first would copy the whole input.
    pairs = zip(pre, delta, strict=True)
    return before, tuple(xp.concat([xp.outer_sum(a, d) for a in arrays], axis=0) for arrays, d in pairs)


def whole(rule: ThreeFactor, params: Params, feedback: Params, batch: Batch) -> Chunk:
    """The whole sequence at once, without a carry."""
    gradients: Params = {}
    counts: list[Array] = []
    for direction, own, recorded in rule.record_directions(params, batch):
        spikes = emitted(rule.xp, own, recorded)
        arrays = direction.own(params), direction.own(feedback)
        _, found = credited(rule, *arrays, own, recorded, rate_errors(rule.xp, rule.model, spikes, batch))
        gradients |= direction.named(named(rule, arrays[0], *found))
        counts += spikes
    return Chunk(recorded.loss, recorded.outputs, tuple(counts), gradients, ())


def from_the_end(rule: ThreeFactor, params: Params, feedback: Params, batch: Batch, length: int) -> Chunk:
    """The whole sequence from its last chunk to its first, of which one at a time is recorded.

    A forward pass keeps only the network's state at the start of every chunk. Each chunk is then run again from
    its start and differentiated with the credit of the later ones. The last is run once.
    """
    xp, network = rule.xp, rule.model.network
    earlier, last = parted(xp, batch, length)

    def advance(old: Any, timed: Any) -> tuple[Any, NetworkState]:
        state, counts = old
        own = batch.with_timed(timed)
        after, emissions = network.advance(xp.forward_only(), params, own.x, state)
        spikes = tuple(spike_count(xp, z, own.valid) for z in emissions)
        return (after, tree.map(operator.add, counts, spikes)), state

    start = network.initial_state(xp, batch.x.shape[1])
    (state, counts), starts = xp.scan(advance, (start, tuple(xp.zeros_like(h[-1]) for h in start.layers)), earlier)
    _, recorded = rule.record(params, last, state)
    counts = tree.map(operator.add, counts, emitted(xp, last, recorded))
    errors = rate_errors(xp, rule.model, counts, batch)
    later, found = credited(rule, params, feedback, last, recorded, errors)

    def step(old: Any, xs: Any) -> tuple[Any, Array]:
        (later, total), (state, timed) = old, xs
        own = batch.with_timed(timed)
        _, recorded = rule.record(params, own, state, later.readout)
        later, found = credited(rule, params, feedback, own, recorded, errors, later)
        return (later, tree.map(operator.add, total, (recorded.loss, found))), recorded.outputs

    total, outputs = (recorded.loss, found), recorded.outputs
    del recorded, found  # one chunk at a time
    (_, (loss, found)), before = xp.scan(step, (later, total), (starts, earlier), reverse=True)
    if batch.pooling is None:
        outputs = xp.concat([xp.reshape(before, (-1, *outputs.shape[1:])), outputs], axis=0)
    else:
        outputs = xp.sum(before, axis=0) + outputs
    return Chunk(loss, outputs, counts, named(rule, params, *found), ())


def credited(
    rule: ThreeFactor,
    params: Params,
    feedback: Params,
    batch: Batch,
    recorded: Recorded,
    errors: tuple[Array | None, ...],
    later: Later | None = None,
) -> tuple[Later, tuple[Params, Blocks]]:
    """Credit for the chunk before this one; gradients of the readout, and a block (n_pre, n) per layer and current.

    `errors` is that of the rate penalty per layer, `later` the credit of the chunks after this one, in one
    direction of the network. All arguments are those of the direction.
    """
    xp, before, blocks = rule.xp, [], []
    for i, signal in enumerate(rule.learning_signals(params, feedback, batch, recorded)):
        error, future = errors[i], signal.future
        if error is not None:
            future = future + xp.expand_dims(batch.valid, axis=-1) * error
        pre = presynaptic(xp, rule.model.network.cells[i], recorded.traces[i])
        end = None if later is None else later.layers[i]
        start, block = layer_blocks(xp, recorded.jacobians[i], pre, future, end)
        before.append(start)
        blocks.append(block)
    readout = rule.readout_gradients(recorded, None)
    return Later(recorded.credit[0], tuple(before)), (readout, tuple(blocks))


def emitted(xp: Backend, batch: Batch, recorded: Recorded) -> tuple[Array, ...]:
    """Spikes of every layer, (batch, n)."""
    return tuple(spike_count(xp, trace.z, batch.valid) for trace in recorded.traces)


def rate_errors(xp: Backend, model: Evaluator, counts: tuple[Array, ...], batch: Batch) -> tuple[Array | None, ...]:
    """The error of the rate penalty, per spike of every layer in the whole sequence; None where there is none."""
    regularizer, network = model.objective.regularizer, model.network
    if regularizer is None:
        return (None,) * len(counts)
    pairs = zip(network.cells, counts, strict=True)
    dt = network.readout.dt
    return tuple(regularizer.error(xp, c, batch.valid, dt) if cell.spiking else None for cell, c in pairs)


def named(rule: ThreeFactor, params: Params, readout: Params, blocks: Blocks) -> Params:
    """Gradients by name, from those of the readout and the blocks of every layer."""
    gradients = dict(readout)
    for i, block in enumerate(blocks):
        n_in = int(params[f"layers.{i}.w_in"].shape[0])
        gradients |= layer_gradients(rule.xp, rule.model.network, i, n_in, block)
    return gradients


def readout_gradients(
    xp: Backend, readout: LeakyReadout, recorded: Recorded, filtered: tuple[Array, ...] | None
) -> tuple[Array, list[Array]]:
    """Gradient of ``b_out``, and of a readout (n, outputs) at each layer, of which the last is ``w_out``; `filtered`
    is the κ-filtered emission (batch, n) of each layer before this chunk, None at the start of a sequence."""
    gradients = []
    for i, trace in enumerate(recorded.traces):
        gradient = xp.outer_sum(trace.z, recorded.credit)
        if filtered is not None:
            gradient = gradient + xp.matrix_transpose(filtered[i]) @ (readout.kappa * recorded.credit[0])
        gradients.append(gradient)
    return xp.sum(recorded.error, axis=(0, 1)), gradients
