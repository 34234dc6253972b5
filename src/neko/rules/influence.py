r"""Rules that carry the influence of the weights on the states forward in time.

.. math::
    M_t = J_t M_{t-1} + \frac{∂h_t}{∂W}, \qquad \frac{dE}{dW} = \sum_t q_t M_t

A rule of this family differs from the others in what it keeps of M. The rest is here: the pass over a sequence, or over
its chunks, the credit q and the leaky readout.
"""

from __future__ import annotations

import operator
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

from neko import tree
from neko.cells.base import Cell
from neko.models.directions import Direction
from neko.models.layer import LayerTrace
from neko.models.network import NetworkState, Params, layer_params
from neko.models.readout import leaky_filter
from neko.objective import Batch
from neko.rules import signals
from neko.rules.base import Gradient, GradientRule
from neko.rules.chunking import Chunk, by_chunks, check_additive, counted, gathered
from neko.rules.forward import Recorded, record, record_directions
from neko.rules.jacobian import fields
from neko.rules.reverse import emitted, rate_errors
from neko.rules.signals import LearningSignal
from neko.rules.synapses import joined, layer_gradients, presynaptic
from neko.rules.tangent import Shape, Step, build_weights
from neko.typing import Array

Blocks = tuple[tuple[Array, ...], ...]
"""An array (…, n_pre, n) per layer and current."""


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

    def measured(self, memory: Any, credit: Sequence[Array | None]) -> Any:
        """What is measured of M and its products after a step, to be added up; of a rule that reports on itself."""
        return ()

    def measured_before(self, memory: Any, credit: Array) -> Any:
        """As `measured`, of the products of q (batch, 1, n) with M filtered by the readout, from before a chunk."""
        return ()

    def report(self, measured: Any, gradients: Params) -> dict[str, Any]:
        """Names and (total, weight) of what a rule reports on itself."""
        return {}

    def key(self, batch: Batch) -> Array | None:
        """The key of the noise of a batch, of a rule that has noise."""
        return None

    def differentiate(self, params: Params, feedback: Params, batch: Batch, carry: Any) -> Gradient:
        if carry is not None:
            return self.in_chunks(params, feedback, batch, carry, batch.x.shape[0])
        xp, start = self.xp, self.begun(batch.x.shape[1])
        gradients: Params = {}
        counts: list[Array] = []
        measured: list[Any] = []
        for direction, own, recorded in self.record_directions(params, batch):
            spikes = emitted(xp, own, recorded)
            errors = rate_errors(xp, self.model, spikes, own)
            found, seen, _ = self.run(direction.own(params), own, recorded, errors, start, False)
            gradients |= direction.named(found)
            counts += spikes
            measured += seen
        return self.gradient(Chunk(recorded.loss, recorded.outputs, tuple(counts), gradients, measured), batch, None)

    def in_chunks(self, params: Params, feedback: Params, batch: Batch, carry: Any, length: int) -> Gradient:
        if carry is None and length >= batch.x.shape[0]:
            return self.differentiate(params, feedback, batch, None)
        self.check_chunks()
        check_additive(self.model.objective, batch)
        start = self.initial_carry(batch.x.shape[1]) if carry is None else carry
        counts = (None,) * len(self.model.network.cells)
        if self.model.objective.regularizer is not None:
            # its error is known only once all spikes are counted
            counts = counted(self.xp, self.model.network, params, batch, start.state, length)
        errors = rate_errors(self.xp, self.model, counts, batch)

        def step(own: Batch, old: Carry, keep: bool) -> tuple[Chunk, Carry]:
            state, recorded = record(self.xp, self.model, self.model.network, params, own, old.state)
            gradients, seen, later = self.run(params, own, recorded, errors, old, keep)
            counts = emitted(self.xp, own, recorded)
            return Chunk(recorded.loss, recorded.outputs, counts, gradients, seen), later._replace(state=state)

        chunk, later = by_chunks(self.xp, step, batch, start, length, carry is not None)
        return self.gradient(chunk, batch, None if carry is None else later)

    def run(
        self, params: Params, batch: Batch, recorded: Recorded, errors: Any, carry: Carry, keep: bool
    ) -> tuple[Params, tuple[Any, ...], Carry]:
        """Gradients of a recorded pass in one direction, what the rule measured of each group and, with `keep`, the
        next carry but for the network's state; `errors` is that of the rate penalty, per emission of each layer."""
        xp, network = self.xp, self.model.network
        kappa, credit, z = network.readout.kappa, recorded.credit, recorded.traces[-1].z
        units, pairs = tuple(c.units for c in network.cells), zip(network.cells, recorded.traces, strict=True)
        pre = tuple(joined(xp, presynaptic(xp, cell, trace)) for cell, trace in pairs)
        weights = tuple(build_weights(xp, cell, layer_params(params, i)) for i, cell in enumerate(network.cells))
        w_out, key = xp.matrix_transpose(params["readout.w_out"]), self.key(batch)
        onto = xp.zeros((z.shape[1], 1, 1)) + w_out

        def step(old: Any, xs: Any) -> tuple[Any, None]:
            (memory, totals, outputs, count), (columns, pre_t, credit) = old, xs
            now = tuple(layer.at(c) for layer, c in zip(recorded.jacobians, columns, strict=True))
            noise = None if key is None else xp.random.fold(key, count)
            found: list[Any] = []
            products: list[tuple[Array, ...]] = []
            for group, kept in zip(self.groups, memory, strict=True):
                own = Step(units[group], weights[group], now[group], pre_t[group])
                found.append(self.advance(kept, own, noise))
                products += self.rows(found[-1], credit[group])
            seen = tuple(self.measured(m, credit[group]) for m, group in zip(found, self.groups, strict=True))
            sums = tree.map(lambda a: xp.sum(a, axis=(0, 1)), tuple(products))
            if keep and outputs:
                above = (None,) * (len(outputs) - 1)
                outputs = tree.map(lambda a, b: kappa * a + b, outputs, self.rows(found[-1], (*above, onto)))
            return (tuple(found), tree.map(operator.add, totals, (sums, seen)), outputs, count + 1.0), None

        before = xp.expand_dims(kappa * credit[0] @ w_out, axis=1)
        last = len(carry.memory) - 1
        seen = tuple(self.measured_before(m, before * float(i == last)) for i, m in enumerate(carry.memory))
        totals = (self.carried(pre, kappa * credit[0], carry.outputs), seen)
        rows = tree.map(lambda q: xp.expand_dims(q, axis=2), self.credit(params, batch, recorded, errors))
        xs = (tuple(layer.xs for layer in recorded.jacobians), pre, rows)
        start = (carry.memory, totals, carry.outputs, carry.step)
        (memory, (sums, seen), outputs, count), _ = xp.scan(step, start, xs)
        gradients = {
            "readout.w_out": xp.outer_sum(z, credit) + xp.matrix_transpose(carry.filtered) @ (kappa * credit[0]),
            "readout.b_out": xp.sum(recorded.error, axis=(0, 1)),
        }
        for i, trace in enumerate(recorded.traces):
            gradients |= layer_gradients(xp, network, i, trace.x.shape[-1], sums[i])
        filtered = leaky_filter(xp, kappa, z, carry.filtered)[0]
        return gradients, seen, Carry(carry.state, count, memory, outputs, filtered)

    def record_directions(self, params: Params, batch: Batch) -> list[tuple[Direction, Batch, Recorded]]:
        """The forward pass of every direction, with all paths."""
        return record_directions(self.xp, self.model, params, batch, uncut)

    def learning_signals(
        self, params: Params, feedback: Params, batch: Batch, recorded: Recorded
    ) -> list[LearningSignal]:
        """The readout's error at every layer or, where M passes between layers, at the last one."""
        given = (self.xp, self.model.network, self.model.objective, params, batch, recorded)
        return [signals.of_readout(*given)] if self.across else signals.symmetric(*given)

    def signal_rms(self, params: Params, feedback: Params, batch: Batch) -> Params:
        return signals.by_layer(self, params, feedback, batch)

    def credit(self, params: Params, batch: Batch, recorded: Recorded, errors: Any) -> tuple[Array | None, ...]:
        """q_t of the emissions of every layer, (time, batch, n); None where it is zero."""
        xp, given = self.xp, self.learning_signals(params, {}, batch, recorded)
        found: list[Array | None] = [None] * (len(recorded.traces) - len(given))
        found += [signal.future for signal in given]
        for i, error in enumerate(errors):
            if error is not None:
                rate = xp.expand_dims(batch.valid, axis=-1) * error
                found[i] = rate if found[i] is None else found[i] + rate
        return tuple(found)

    def carried(self, pre: Any, credit: Array, outputs: Blocks) -> Blocks:
        """The part of each sum from before a chunk, by the credit (batch, n_out) of the readout's filter at its end."""
        xp, network = self.xp, self.model.network
        cells = zip(network.cells, pre, strict=True)
        sums = [tuple(xp.zeros((p.shape[-1], cell.units)) for p in rows) for cell, rows in cells]
        for i, blocks in enumerate(outputs, start=len(sums) - len(outputs)):
            sums[i] = tuple(xp.einsum("bo,bopn->pn", credit, block) for block in blocks)
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
        report = self.report(chunk.rates, chunk.gradients)
        return gathered(self.xp, self.model.model.cells, chunk, batch, carry, report)


def uncut(cell: Cell) -> Cell:
    """The cell with all its paths."""
    return cell
