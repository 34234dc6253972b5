"""A sequence in chunks, and its gradient by traces that are carried from chunk to chunk."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

from neko import tree
from neko.backend.protocol import Backend
from neko.cells.base import Cell
from neko.models.network import Network, NetworkState, Params
from neko.objective import Batch, Forward, Objective, mean_rates, spike_count
from neko.rules.base import Gradient
from neko.rules.eligibility import Traces
from neko.typing import Array


class Carry(NamedTuple):
    """The state carried from one chunk to the next.

    ``traces`` per layer and current, None at the start of a sequence; ``filtered`` per layer the κ-filtered emission
    (batch, n), for the gradient of the readout.
    """

    state: NetworkState
    traces: tuple[tuple[Traces, ...], ...] | None
    filtered: tuple[Array, ...]


class Chunk(NamedTuple):
    """The contribution of a chunk: loss, outputs, spike counts (batch, n) per layer, gradients, and what else a rule
    adds up over chunks: for the rate term of a three-factor rule the sums of eligibility traces per layer and current.
    """

    loss: Array
    outputs: Array
    counts: tuple[Array, ...]
    gradients: Params
    rates: Any


Step = Callable[[Batch, Any, bool], tuple[Chunk, Any]]
"""From a chunk of the batch and the carry to the contribution of the chunk and, if the flag is set, the next carry,
each a tree of one structure, as `Carry`."""


def parted(xp: Backend, batch: Batch, length: int) -> tuple[Any, Batch]:
    """The timed arrays of all chunks but the last, (count, length, …), and the last chunk, which may be shorter."""
    time = batch.x.shape[0]
    count = (time - 1) // length
    earlier = tree.map(lambda a: xp.reshape(a[: count * length], (count, length, *a.shape[1:])), batch.timed())
    return earlier, batch.with_timed(tree.map(lambda a: a[count * length :], batch.timed()))


def by_chunks(xp: Backend, step: Step, batch: Batch, carry: Any, length: int, keep: bool) -> tuple[Chunk, Any]:
    """The sum over all chunks of `length` steps; `keep` requests the traces at the end."""
    pooled = batch.pooling is not None
    earlier, last = parted(xp, batch, length)
    count = earlier[0].shape[0]
    if count == 0:
        return step(last, carry, keep)

    def accumulate(old: Any, timed: Any, keep: bool = True) -> tuple[tuple[Any, Chunk], Array | None]:
        carry, total = old
        chunk, carry = step(batch.with_timed(timed), carry, keep)
        outputs = None if pooled else chunk.outputs
        chunk = chunk if pooled else chunk._replace(outputs=None)
        return (carry, tree.map(operator.add, total, chunk)), outputs

    # The first chunk determines the shapes of the totals; the last may be shorter, and may need no traces.
    total, carry = step(batch.with_timed(tree.map(lambda a: a[0], earlier)), carry, True)
    outputs = [total.outputs]
    old: Any = (carry, total if pooled else total._replace(outputs=None))
    if count > 1:
        old, later = xp.scan(accumulate, old, tree.map(lambda a: a[1:], earlier))
        if not pooled:
            outputs.append(xp.reshape(later, (-1, *later.shape[2:])))
    old, later = accumulate(old, last.timed(), keep)
    outputs.append(later)
    carry, total = old
    return (total if pooled else total._replace(outputs=xp.concat(outputs, axis=0))), carry


def counted(
    xp: Backend, network: Network, params: Params, batch: Batch, state: NetworkState, length: int
) -> tuple[Array, ...]:
    """Spikes of every layer in all chunks, (batch, n), by a forward pass."""

    def advance(old: Any, timed: Any) -> tuple[Any, None]:
        (state, counts), own = old, batch.with_timed(timed)
        state, emissions = network.advance(xp.forward_only(), params, own.x, state)
        pairs = zip(counts, emissions, strict=True)
        return (state, tuple(count + spike_count(xp, z, own.valid) for count, z in pairs)), None

    earlier, last = parted(xp, batch, length)
    found = state, tuple(xp.zeros_like(h[-1]) for h in state.layers)
    if earlier[0].shape[0]:
        found, _ = xp.scan(advance, found, earlier)
    counts: tuple[Array, ...] = advance(found, last.timed())[0][1]
    return counts


def check_additive(objective: Objective, batch: Batch) -> None:
    """ValueError for a loss that is no sum over steps, and so has no error within a chunk."""
    if not objective.additive(batch):
        raise ValueError(
            "target='mean' has no error before the last step: use target='every' or 'last' with chunk and stream, or "
            "the whole sequence"
        )


def gathered(xp: Backend, cells: tuple[Cell, ...], chunk: Chunk, batch: Batch, carry: Any, report: Any) -> Gradient:
    """The `Gradient` of a whole sequence, from the sum of its chunks; `cells` are those of the model."""
    pairs = zip(cells, chunk.counts, strict=True)
    counts = tuple(count if cell.spiking else None for cell, count in pairs)
    forward = Forward(chunk.loss, chunk.outputs, mean_rates(xp, counts, batch.valid))
    return Gradient(forward, chunk.gradients, carry, report)
