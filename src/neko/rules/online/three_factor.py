"""Three-factor rules: a learning signal times an eligibility trace of pre- and postsynaptic activity."""

from __future__ import annotations

import functools
import operator
from abc import abstractmethod
from typing import Any, ClassVar

from neko import tree
from neko.backend.protocol import Backend
from neko.cells.base import Cell
from neko.cells.learnable import learnt
from neko.models.layer import LayerTrace, States
from neko.models.network import NetworkState, Params
from neko.models.readout import LeakyReadout, leaky_filter
from neko.objective import Batch, Forward, mean_rates, spike_count
from neko.rules import eligibility
from neko.rules.base import Gradient, GradientRule
from neko.rules.chunking import Carry, Chunk, by_chunks, parted
from neko.rules.forward import Recorded, record, record_directions, without_paths
from neko.rules.jacobian import step_jacobians
from neko.rules.observed import LayerTraces, observed
from neko.rules.reverse import Blocks, Later, layer_blocks
from neko.rules.signals import LearningSignal
from neko.rules.synapses import joined, layer_gradients, presynaptic
from neko.typing import Array


class ThreeFactor(GradientRule):
    r"""A rule whose gradient is a sum of learning signals times eligibility traces.

    .. math::
        \frac{dE}{dW} = \sum_t L_t ē_t

    A subclass defines the learning signals, the gradient of the readout, and the paths of a neuron that it cuts.
    Credit runs backward over the whole sequence, or over its chunks from the last to the first. With a carry, and
    stepwise, chunks run in the order of time and carry traces.

    Parameters
    ----------
    model : Evaluator
        Model, loss and metrics. Its regularizer enters as ``c (f_av - f_0) Σ_t e_t / T``, local to each layer.
    stepwise : bool
        Compute the traces forward, step by step, in place of one backward scan, with the same result.
    """

    streams = True
    least: ClassVar[int] = 1 << 19

    def __init__(self, model: Any, *, stepwise: bool = False) -> None:
        super().__init__(model)
        self.stepwise = stepwise
        if stepwise:
            self.check_chunks()

    @abstractmethod
    def cut(self, cell: Cell) -> Cell:
        """The cell that is differentiated, without the paths that the rule cuts."""

    @abstractmethod
    def learning_signals(
        self, params: Params, feedback: Params, batch: Batch, recorded: Recorded
    ) -> list[LearningSignal]:
        """The learning signal of every layer of one direction, from the first to the last.

        Of a bidirectional network all arguments are those of the direction.
        """

    @abstractmethod
    def readout_gradients(self, recorded: Recorded, filtered: tuple[Array, ...] | None) -> Params:
        """Gradients of the readout, and of feedback weights that learn; see `readout_gradients`."""

    def differentiate(self, params: Params, feedback: Params, batch: Batch, carry: Any) -> Gradient:
        if carry is None and not self.stepwise:
            return self.gradient(self.whole(params, feedback, batch), batch, None)
        return self.in_chunks(params, feedback, batch, carry, batch.x.shape[0])

    def in_chunks(self, params: Params, feedback: Params, batch: Batch, carry: Any, length: int) -> Gradient:
        from_end = carry is None and not self.stepwise
        if length >= batch.x.shape[0] and from_end:
            return self.differentiate(params, feedback, batch, carry)
        self.check_chunks()
        if not self.model.objective.additive(batch):
            raise ValueError(
                "target='mean' has no error before the last step: use target='every' or 'last' with chunk, "
                "stepwise and stream, or the whole sequence"
            )
        if from_end:
            length = self.joined(batch, length)
            if length >= batch.x.shape[0]:
                return self.gradient(self.whole(params, feedback, batch), batch, None)
            return self.gradient(self.backward(params, feedback, batch, length), batch, None)

        start = self.initial_carry(batch.x.shape[1]) if carry is None else carry
        step = functools.partial(self.chunk, params, feedback)
        chunk, later = by_chunks(self.xp, step, batch, start, length, carry is not None)
        gradients = self.with_rate_term(chunk, batch)
        return self.gradient(chunk._replace(gradients=gradients), batch, None if carry is None else later)

    def joined(self, batch: Batch, length: int) -> int:
        """Steps of a chunk, a multiple of `length` with at least `least` neuron steps where nothing compiles: the
        calls of a smaller one cost more than its arithmetic, and its memory is no gain."""
        if self.xp.compiles:
            return length
        neurons = batch.x.shape[1] * max(cell.units for cell in self.model.network.cells)
        return length * max(1, -(-self.least // (length * neurons)))

    def whole(self, params: Params, feedback: Params, batch: Batch) -> Chunk:
        """The whole sequence at once, without a carry."""
        gradients: Params = {}
        counts: list[Array] = []
        for direction, own, recorded in record_directions(self.xp, self.model, params, batch, self.cut):
            spikes = self.counts(own, recorded)
            arrays = direction.own(params), direction.own(feedback)
            _, found = self.credited(*arrays, own, recorded, self.rate_errors(spikes, batch))
            gradients |= direction.named(self.named(arrays[0], *found))
            counts += spikes
        return Chunk(recorded.loss, recorded.outputs, tuple(counts), gradients, ())

    def backward(self, params: Params, feedback: Params, batch: Batch, length: int) -> Chunk:
        """The whole sequence from its last chunk to its first, of which one at a time is recorded.

        A forward pass keeps only the network's state at the start of every chunk. Each chunk is then run again from
        its start and differentiated with the credit of the later ones. The last is run once.
        """
        xp, network = self.xp, without_paths(self.model.network, self.cut)
        earlier, last = parted(xp, batch, length)

        def advance(old: Any, timed: Any) -> tuple[Any, NetworkState]:
            state, counts = old
            own = batch.with_timed(timed)
            after, emissions = network.advance(xp.forward_only(), params, own.x, state)
            spikes = tuple(spike_count(xp, z, own.valid) for z in emissions)
            return (after, tree.map(operator.add, counts, spikes)), state

        start = network.initial_state(xp, batch.x.shape[1])
        (state, counts), starts = xp.scan(advance, (start, tuple(xp.zeros_like(h[-1]) for h in start.layers)), earlier)
        _, recorded = record(xp, self.model, network, params, last, state)
        counts = tree.map(operator.add, counts, self.counts(last, recorded))
        errors = self.rate_errors(counts, batch)
        later, found = self.credited(params, feedback, last, recorded, errors)

        def step(old: Any, xs: Any) -> tuple[Any, Array]:
            (later, total), (state, timed) = old, xs
            own = batch.with_timed(timed)
            _, recorded = record(xp, self.model, network, params, own, state, later.readout)
            later, found = self.credited(params, feedback, own, recorded, errors, later)
            return (later, tree.map(operator.add, total, (recorded.loss, found))), recorded.outputs

        total, outputs = (recorded.loss, found), recorded.outputs
        del recorded, found  # one chunk at a time
        (_, (loss, found)), before = xp.scan(step, (later, total), (starts, earlier), reverse=True)
        if batch.pooling is None:
            outputs = xp.concat([xp.reshape(before, (-1, *outputs.shape[1:])), outputs], axis=0)
        else:
            outputs = xp.sum(before, axis=0) + outputs
        return Chunk(loss, outputs, counts, self.named(params, *found), ())

    def credited(
        self,
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
        xp, before, blocks = self.xp, [], []
        for i, signal in enumerate(self.learning_signals(params, feedback, batch, recorded)):
            error, future = errors[i], signal.future
            if error is not None:
                future = future + xp.expand_dims(batch.valid, axis=-1) * error
            pre = presynaptic(xp, self.model.network.cells[i], recorded.traces[i])
            end = None if later is None else later.layers[i]
            start, block = layer_blocks(xp, recorded.jacobians[i], pre, future, end)
            before.append(start)
            blocks.append(block)
        readout = self.readout_gradients(recorded, None)
        return Later(recorded.credit[0], tuple(before)), (readout, tuple(blocks))

    def counts(self, batch: Batch, recorded: Recorded) -> tuple[Array, ...]:
        """Spikes of every layer, (batch, n)."""
        return tuple(spike_count(self.xp, trace.z, batch.valid) for trace in recorded.traces)

    def rate_errors(self, counts: tuple[Array, ...], batch: Batch) -> tuple[Array | None, ...]:
        """The error of the rate penalty, per spike of every layer in the whole sequence; None where there is none."""
        regularizer, network = self.model.objective.regularizer, self.model.network
        if regularizer is None:
            return (None,) * len(counts)
        pairs = zip(network.cells, counts, strict=True)
        dt = network.readout.dt
        return tuple(regularizer.error(self.xp, c, batch.valid, dt) if cell.spiking else None for cell, c in pairs)

    def named(self, params: Params, readout: Params, blocks: Blocks) -> Params:
        """Gradients by name, from those of the readout and the blocks of every layer."""
        gradients = dict(readout)
        for i, block in enumerate(blocks):
            n_in = int(params[f"layers.{i}.w_in"].shape[0])
            gradients |= layer_gradients(self.xp, self.model.network, i, n_in, block)
        return gradients

    def chunk(self, params: Params, feedback: Params, batch: Batch, carry: Carry, keep: bool) -> tuple[Chunk, Carry]:
        """The contribution of one chunk, given the carry; `keep` requests the traces for the next chunk."""
        xp, network = self.xp, without_paths(self.model.network, self.cut)
        state, recorded = record(xp, self.model, network, params, batch, carry.state)
        gradients = self.readout_gradients(recorded, carry.filtered)
        rates, traces = [], []
        gradient_of = eligibility.stepwise_gradient if self.stepwise else eligibility.chunk_gradient
        for i, signal in enumerate(self.learning_signals(params, feedback, batch, recorded)):
            trace, before = recorded.traces[i], None if carry.traces is None else carry.traces[i]
            pre = joined(xp, presynaptic(xp, network.cells[i], trace))
            layer = gradient_of(xp, recorded.jacobians[i], pre, signal, before, keep)
            gradients |= layer_gradients(xp, network, i, trace.x.shape[-1], layer.weights)
            rates.append(layer.rates)
            traces.append(layer.traces)
        counts = tuple(spike_count(xp, trace.z, batch.valid) for trace in recorded.traces)
        pairs = zip(recorded.traces, carry.filtered, strict=True)
        filtered = tuple(leaky_filter(xp, network.readout.kappa, trace.z, f)[0] for trace, f in pairs)
        chunk = Chunk(recorded.loss, recorded.outputs, counts, gradients, tuple(rates))
        return chunk, Carry(state, tuple(traces), filtered)

    def with_rate_term(self, chunk: Chunk, batch: Batch) -> Params:
        """Gradients plus ``c (f_av - f_0) Σ_t e_t / T``, known only once all spikes are counted."""
        regularizer = self.model.objective.regularizer
        if regularizer is None:
            return chunk.gradients
        xp, network = self.xp, self.model.network
        gradients, n_in = dict(chunk.gradients), batch.x.shape[-1]
        for i, cell in enumerate(network.cells):
            if cell.spiking:
                error = regularizer.error(xp, chunk.counts[i], batch.valid, network.readout.dt)
                blocks = tuple(eligibility.rate_gradient(xp, error, block) for block in chunk.rates[i])
                added = layer_gradients(xp, network, i, n_in, blocks)
                gradients |= {name: gradients[name] + g for name, g in added.items()}
            n_in = cell.units
        return gradients

    def gradient(self, chunk: Chunk, batch: Batch, carry: Carry | None) -> Gradient:
        """The `Gradient` of a whole sequence."""
        pairs = zip(self.model.model.cells, chunk.counts, strict=True)
        counts = tuple(count if cell.spiking else None for cell, count in pairs)
        rates = mean_rates(self.xp, counts, batch.valid)
        return Gradient(Forward(chunk.loss, chunk.outputs, rates), chunk.gradients, carry)

    def initial_carry(self, size: int) -> Carry:
        state = self.model.network.initial_state(self.xp, size)
        return Carry(state, None, tuple(self.xp.zeros_like(layer[-1]) for layer in state.layers))

    @abstractmethod
    def kappas(self) -> list[float]:
        """Decay of the filtered trace of every layer, as in its `LearningSignal`."""

    def carry_template(self, size: int) -> Carry:
        xp, network, traces = self.xp, self.model.network, []
        for cell, kappa, i in zip(network.cells, self.kappas(), range(len(network.cells)), strict=True):
            before = tree.map(lambda a: xp.expand_dims(a, axis=0), cell.initial_state(xp, size))
            nothing = xp.zeros_like(before[-1])
            x = xp.zeros((1, size, int(self.model.params[f"layers.{i}.w_in"].shape[0])))
            fed = cell.n_currents + len(learnt(cell))
            trace = LayerTrace(x, before[-1], nothing, States(before, (nothing,) * fed))
            jacobians = step_jacobians(xp, self.cut(cell), trace)
            pre = joined(xp, presynaptic(xp, cell, trace))
            traces.append(eligibility.initial_traces(xp, jacobians, pre, cell.units, kappa))
        return self.initial_carry(size)._replace(traces=tuple(traces))

    def traces(self, params: Params, feedback: Params, batch: Batch) -> list[LayerTraces]:
        found: list[LayerTraces] = []
        for direction, own, recorded in record_directions(self.xp, self.model, params, batch, self.cut):
            signals = self.learning_signals(direction.own(params), direction.own(feedback), own, recorded)
            found += observed(self.xp, self.model, own, recorded, signals)
        return found


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
