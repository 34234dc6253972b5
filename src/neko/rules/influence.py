r"""Rules that carry the influence of the weights on the states forward in time.

.. math::
    M_t = J_t M_{t-1} + \frac{∂h_t}{∂W}, \qquad \frac{dE}{dW} = \sum_t q_t M_t

A rule of this family differs from the others in what it keeps of M. The rest is here: the pass over a sequence, or over
its chunks, the credit q and the leaky readout.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

from neko import tree
from neko.backend.protocol import Backend
from neko.cells.base import Cell
from neko.cells.jacobian import Entries, StepJacobian
from neko.models.layer import LayerTrace
from neko.models.network import NetworkState, Params, layer_params
from neko.models.readout import leaky_filter
from neko.objective import Batch, Forward, mean_rates, spike_count
from neko.rules import signals
from neko.rules.base import Gradient, GradientRule
from neko.rules.chunking import Chunk, by_chunks, parted
from neko.rules.forward import Recorded, record, record_directions
from neko.rules.jacobian import fields
from neko.rules.reverse import emitted, rate_errors
from neko.rules.synapses import joined, layer_gradients, presynaptic
from neko.rules.tangent import CurrentWeights, Tangent, build_weights, push
from neko.typing import Array

Blocks = tuple[tuple[Array, ...], ...]
"""An array (…, n_pre, n) per layer and current."""


class Shape(NamedTuple):
    """Sizes of a layer: sequences, neurons, state fields, and rows of presynaptic activity per current."""

    batch: int
    units: int
    fields: int
    rows: tuple[int, ...]


class Step(NamedTuple):
    """One step of consecutive layers: their numbers of neurons, weights, Jacobians, and presynaptic activity (batch,
    n_pre) per current."""

    units: tuple[int, ...]
    weights: tuple[CurrentWeights, ...]
    jacobians: tuple[StepJacobian, ...]
    pre: tuple[tuple[Array, ...], ...]

    def push(self, xp: Backend, tangent: Tangent, kicks: Sequence[Entries | None] | None = None) -> Tangent:
        """``J_t v + b_t ξ``, see `neko.rules.tangent.push`."""
        return push(xp, self.weights, self.jacobians, tangent, self.still if kicks is None else kicks)

    @property
    def still(self) -> tuple[None, ...]:
        """No change of any layer."""
        return (None,) * len(self.units)

    def kick(self, layer: int, current: int, change: Array) -> tuple[Entries | None, ...]:
        """The change of one current of one layer."""
        own = tuple(change if c == current else None for c in range(len(self.pre[layer])))
        return tuple(own if i == layer else None for i in range(len(self.units)))


class Carry(NamedTuple):
    """What a rule carries from one chunk to the next.

    ``state`` of the network; ``step``, the number of steps so far; ``memory``, what the rule keeps of M, for each group
    of layers; ``outputs``, the influence on the readout's filter of the weights of the last group, blocks (batch,
    n_out, n_pre, n), () where it is not carried; ``filtered`` (batch, n), the κ-filtered emission of the last layer.
    """

    state: NetworkState
    step: Array
    memory: tuple[Any, ...]
    outputs: Blocks
    filtered: Array


class InfluenceRule(GradientRule):
    r"""A rule that carries an exact or approximate influence M of the weights forward in time.

    .. math::
        \frac{dE}{dW} = \sum_t q_t M_t

    A subclass defines what it keeps of M (`start`, `advance`) and its products with given rows (`rows`). With
    ``across`` it sees the network as a whole, and q_t is the credit of the emissions through the readout and
    its filter, and by the rate penalty. Otherwise it sees one layer at a time, whose q_t is the learning signal of
    symmetric e-prop: in a lower layer that of the instantaneous path of each step through the layers above.

    In chunks and in a stream M is carried on, and with a leaky readout its filtered product with the output weights:
    (batch, n_out, n_pre, n) for each matrix of weights.

    Parameters
    ----------
    model : Evaluator
        Model, loss and metrics.
    """

    streams = True
    across: ClassVar[bool] = True

    @abstractmethod
    def start(self, layers: tuple[Shape, ...]) -> Any:
        """What is kept of M before the first step, for consecutive layers."""

    @abstractmethod
    def advance(self, memory: Any, step: Step, key: Array | None) -> Any:
        """What is kept of M after a step; `key` is that of the step's noise, None for a rule without noise."""

    @abstractmethod
    def rows(self, memory: Any, credit: Sequence[Array | None]) -> Blocks:
        """``q M``, blocks (batch, count, n_pre, n), for q (batch, count, n) at the emissions of each layer, None where
        it is zero."""

    def key(self, batch: Batch) -> Array | None:
        """The key of the noise of a batch, of a rule that has noise."""
        return None

    def differentiate(self, params: Params, feedback: Params, batch: Batch, carry: Any) -> Gradient:
        if carry is not None:
            return self.in_chunks(params, feedback, batch, carry, batch.x.shape[0])
        xp, start = self.xp, self.begun(batch.x.shape[1])
        gradients: Params = {}
        counts: list[Array] = []
        for direction, own, recorded in record_directions(xp, self.model, params, batch, uncut):
            spikes = emitted(xp, own, recorded)
            errors = rate_errors(xp, self.model, spikes, own)
            found, _ = self.run(direction.own(params), own, recorded, errors, start, False)
            gradients |= direction.named(found)
            counts += spikes
        return self.gradient(Chunk(recorded.loss, recorded.outputs, tuple(counts), gradients, ()), batch, None)

    def in_chunks(self, params: Params, feedback: Params, batch: Batch, carry: Any, length: int) -> Gradient:
        if carry is None and length >= batch.x.shape[0]:
            return self.differentiate(params, feedback, batch, None)
        self.check_chunks()
        if not self.model.objective.additive(batch):
            raise ValueError(
                "target='mean' has no error before the last step: use target='every' or 'last' with chunk and "
                "stream, or the whole sequence"
            )
        start = self.initial_carry(batch.x.shape[1]) if carry is None else carry
        errors = rate_errors(self.xp, self.model, self.counts(params, batch, start.state, length), batch)

        def step(own: Batch, old: Carry, keep: bool) -> tuple[Chunk, Carry]:
            state, recorded = record(self.xp, self.model, self.model.network, params, own, old.state)
            gradients, later = self.run(params, own, recorded, errors, old, keep)
            counts = emitted(self.xp, own, recorded)
            return Chunk(recorded.loss, recorded.outputs, counts, gradients, ()), later._replace(state=state)

        chunk, later = by_chunks(self.xp, step, batch, start, length, carry is not None)
        return self.gradient(chunk, batch, None if carry is None else later)

    def counts(self, params: Params, batch: Batch, state: NetworkState, length: int) -> tuple[Array, ...]:
        """Spikes of every layer in all chunks, (batch, n), which a rate penalty needs before the first."""
        xp, network = self.xp, self.model.network
        zeros = tuple(xp.zeros_like(h[-1]) for h in state.layers)
        if self.model.objective.regularizer is None:
            return zeros

        def advance(old: Any, timed: Any) -> tuple[Any, None]:
            state, counts = old
            own = batch.with_timed(timed)
            state, emissions = network.advance(xp.forward_only(), params, own.x, state)
            pairs = zip(counts, emissions, strict=True)
            return (state, tuple(count + spike_count(xp, z, own.valid) for count, z in pairs)), None

        earlier, last = parted(xp, batch, length)
        found, _ = xp.scan(advance, (state, zeros), earlier) if earlier[0].shape[0] else ((state, zeros), None)
        counts: tuple[Array, ...] = advance(found, last.timed())[0][1]
        return counts

    def run(
        self, params: Params, batch: Batch, recorded: Recorded, errors: Any, carry: Carry, keep: bool
    ) -> tuple[Params, Carry]:
        """Gradients of a recorded pass in one direction and, with `keep`, the next carry, but for the network's state;
        `errors` is that of the rate penalty, per emission of each layer."""
        xp, network = self.xp, self.model.network
        kappa, credit, z = network.readout.kappa, recorded.credit, recorded.traces[-1].z
        units, pairs = tuple(c.units for c in network.cells), zip(network.cells, recorded.traces, strict=True)
        pre = tuple(joined(xp, presynaptic(xp, cell, trace)) for cell, trace in pairs)
        weights = tuple(build_weights(xp, cell, layer_params(params, i)) for i, cell in enumerate(network.cells))
        onto = xp.zeros((z.shape[1], 1, 1)) + xp.matrix_transpose(params["readout.w_out"])
        key = self.key(batch)

        def step(old: Any, xs: Any) -> tuple[Any, None]:
            (memory, sums, outputs, count), (columns, pre_t, credit) = old, xs
            now = tuple(layer.at(c) for layer, c in zip(recorded.jacobians, columns, strict=True))
            noise = None if key is None else xp.random.fold(key, count)
            found: list[Any] = []
            products: list[tuple[Array, ...]] = []
            for group, kept in zip(self.groups, memory, strict=True):
                own = Step(units[group], weights[group], now[group], pre_t[group])
                found.append(self.advance(kept, own, noise))
                products += self.rows(found[-1], credit[group])
            sums = tree.map(lambda a, b: a + xp.sum(b, axis=(0, 1)), sums, tuple(products))
            if keep and outputs:
                above = (None,) * (len(outputs) - 1)
                outputs = tree.map(lambda a, b: kappa * a + b, outputs, self.rows(found[-1], (*above, onto)))
            return (tuple(found), sums, outputs, count + 1.0), None

        start = (carry.memory, self.carried(pre, credit[0], carry.outputs), carry.outputs, carry.step)
        columns = tuple(layer.xs for layer in recorded.jacobians)
        rows = tree.map(lambda q: xp.expand_dims(q, axis=2), self.credit(params, batch, recorded, errors))
        (memory, sums, outputs, count), _ = xp.scan(step, start, (columns, pre, rows))
        gradients = {
            "readout.w_out": xp.outer_sum(z, credit) + xp.matrix_transpose(carry.filtered) @ (kappa * credit[0]),
            "readout.b_out": xp.sum(recorded.error, axis=(0, 1)),
        }
        for i, trace in enumerate(recorded.traces):
            gradients |= layer_gradients(xp, network, i, trace.x.shape[-1], sums[i])
        return gradients, Carry(carry.state, count, memory, outputs, leaky_filter(xp, kappa, z, carry.filtered)[0])

    def credit(self, params: Params, batch: Batch, recorded: Recorded, errors: Any) -> tuple[Array | None, ...]:
        """q_t of the emissions of every layer, (time, batch, n); None where it is zero."""
        xp, network = self.xp, self.model.network
        found: list[Array | None] = [None] * len(network.cells)
        if self.across:
            found[-1] = xp.project(recorded.credit, xp.matrix_transpose(params["readout.w_out"]))
        else:
            given = signals.symmetric(xp, network, self.model.objective, params, batch, recorded)
            found = [signal.future for signal in given]
        for i, error in enumerate(errors):
            if error is not None:
                rate = xp.expand_dims(batch.valid, axis=-1) * error
                found[i] = rate if found[i] is None else found[i] + rate
        return tuple(found)

    def carried(self, pre: Any, credit: Array, outputs: Blocks) -> Blocks:
        """The part of each sum from before a chunk, of the errors in the chunk through the readout's filter, from the
        future credit (batch, n_out) of its first step."""
        xp, network = self.xp, self.model.network
        cells = zip(network.cells, pre, strict=True)
        sums = [tuple(xp.zeros((p.shape[-1], cell.units)) for p in rows) for cell, rows in cells]
        for i, blocks in enumerate(outputs, start=len(sums) - len(outputs)):
            sums[i] = tuple(xp.einsum("bo,bopn->pn", network.readout.kappa * credit, block) for block in blocks)
        return tuple(sums)

    @property
    def groups(self) -> tuple[slice, ...]:
        """The layers whose influence is carried together."""
        count = len(self.model.network.cells)
        return (slice(0, count),) if self.across else tuple(slice(i, i + 1) for i in range(count))

    def shapes(self, size: int) -> tuple[Shape, ...]:
        """The sizes of every layer, for `size` sequences."""
        xp, found = self.xp, []
        for i, cell in enumerate(self.model.network.cells):
            state = cell.initial_state(xp, size)
            x = xp.zeros((1, size, int(self.model.params[f"layers.{i}.w_in"].shape[0])))
            z = xp.expand_dims(state[-1], axis=0)
            pre = joined(xp, presynaptic(xp, cell, LayerTrace(x, z, z, None)))
            found.append(Shape(size, cell.units, len(fields(state)), tuple(p.shape[-1] for p in pre)))
        return tuple(found)

    def begun(self, size: int) -> Carry:
        """The carry before the first step, of `size` sequences that are not continued."""
        state, shapes = self.model.network.initial_state(self.xp, size), self.shapes(size)
        memory = tuple(self.start(shapes[group]) for group in self.groups)
        return Carry(state, self.xp.zeros(()), memory, (), self.xp.zeros_like(state.layers[-1][-1]))

    def initial_carry(self, size: int) -> Carry:
        carry, outputs = self.begun(size), self.model.network.readout.units
        if not self.model.network.readout.kappa:
            return carry
        last = self.shapes(size)[self.groups[-1]]
        return carry._replace(
            outputs=tuple(
                tuple(self.xp.zeros((size, outputs, rows, layer.units)) for rows in layer.rows) for layer in last
            )
        )

    def gradient(self, chunk: Chunk, batch: Batch, carry: Carry | None) -> Gradient:
        """The `Gradient` of a whole sequence."""
        pairs = zip(self.model.model.cells, chunk.counts, strict=True)
        counts = tuple(count if cell.spiking else None for cell, count in pairs)
        rates = mean_rates(self.xp, counts, batch.valid)
        return Gradient(Forward(chunk.loss, chunk.outputs, rates), chunk.gradients, carry)


def uncut(cell: Cell) -> Cell:
    """The cell with all its paths."""
    return cell
