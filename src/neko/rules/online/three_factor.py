"""Three-factor rules: a learning signal times an eligibility trace of pre- and postsynaptic activity."""

from __future__ import annotations

import functools
from typing import Any, ClassVar

from neko import tree
from neko.arguments import check_choice, check_integer, is_real, plain
from neko.cells.base import Cell
from neko.cells.jacobian import StepJacobian
from neko.cells.learnable import learnt
from neko.models.directions import Direction
from neko.models.layer import LayerTrace, States
from neko.models.network import NetworkState, Params
from neko.models.readout import leaky_filter
from neko.objective import Batch
from neko.rules import eligibility, forward, signals
from neko.rules.base import Gradient, GradientRule
from neko.rules.chunking import Carry, Chunk, by_chunks, check_additive, gathered
from neko.rules.eligibility import LayerGradient
from neko.rules.forward import Recorded, without_paths
from neko.rules.jacobian import Jacobians, edited, step_jacobians
from neko.rules.observed import LayerTraces, observed
from neko.rules.reverse import emitted, from_the_end, readout_gradients, whole
from neko.rules.signals import LearningSignal
from neko.rules.synapses import joined, layer_gradients, presynaptic
from neko.typing import Array

MODES = ("symmetric", "random", "adaptive")


class ThreeFactor(GradientRule):
    r"""A rule whose gradient is a sum of learning signals times eligibility traces.

    .. math::
        ε_t = A_t ε_{t-1} + b_t ⊗ pre_t, \quad e_t = ε_t^z, \quad ē_t = κ ē_{t-1} + e_t, \quad
        \frac{dE}{dW} = \sum_t L_t ē_t, \quad L_t = B\, err_t

    A and b are the derivatives of the cell's step, found by automatic differentiation. A subclass says which paths it
    keeps: by `cut` those within a cell, by `paths` those of the Jacobian. It may also replace the learning signals.

    Symmetric feedback has ``B = W_out^T``. In a stack, random and adaptive feedback reach each layer by its own B from
    the readout error. Symmetric feedback reaches a lower layer by the instantaneous path of each step through
    the layers above, ``L^l_t = (L^{l+1}_t ∂z_t/∂I_t) W_in^T`` with ``L_t = c W_out^T err_t`` at the top; no credit
    passes through the past of the layers above, nor of the readout.

    A whole sequence is computed at once, by an element-wise backward scan and matrix products. In chunks (see
    `neko.LearningRule`) the gradient is the same: from the last chunk to the first, each is run a second time from a
    kept state of the network, with one of them in memory. A stream, an update after every chunk and `stepwise` run in
    the order of time instead, and carry ε and ē of every synapse, arrays (batch, n_pre, n).

    With ``filtered = False`` in the class, a learning signal is the error of its own step alone: no credit passes
    through the readout's filter.

    Parameters
    ----------
    model : Evaluator
        Model, loss and metrics. Its regularizer enters as ``c (f_av - f_0) Σ_t e_t / T``, local to each layer.
    mode : {'symmetric', 'random', 'adaptive'}
        The feedback B. Adaptive feedback gets the update of ``W_out^T`` (of a lower layer: the update
        that a readout at that layer would get).
    stepwise : bool
        Compute the traces forward, step by step, by the recursion above, with the same result.
    feedback_decay : float
        Fraction λ by which ``W_out`` and B decay at each update in adaptive mode, so that they align: with SGD ``B -
        W_out^T`` shrinks as ``(1 - λ)^t``.
    feedback_seed : int
        Seed of the random feedback.

    Raises
    ------
    ValueError
        For an unknown mode, or for chunks with ``target='mean'``, whose error is not known before the last step.
    """

    streams = True
    filtered: ClassVar[bool] = True
    least: ClassVar[int] = 1 << 19

    def __init__(
        self,
        model: Any,
        *,
        mode: str = "symmetric",
        stepwise: bool = False,
        feedback_decay: float = 0.0,
        feedback_seed: int = 0,
    ) -> None:
        check_choice("mode", mode, MODES)
        if not (is_real(feedback_decay) and 0.0 <= feedback_decay < 1.0) or (feedback_decay and mode != "adaptive"):
            raise ValueError(f"feedback_decay={feedback_decay!r}: expected 0 <= λ < 1, and mode='adaptive'")
        super().__init__(model)
        self.mode = mode
        self.stepwise = stepwise
        self.feedback_decay = plain(feedback_decay)
        self.feedback_seed = check_integer("feedback_seed", feedback_seed, least=0)
        if stepwise:
            self.check_chunks()

    @property
    def name(self) -> str:
        return f"{super().name}:{self.mode}"

    @property
    def in_time(self) -> bool:
        """Whether a sequence is computed in the order of time, without a carry too."""
        return self.stepwise

    def cut(self, cell: Cell) -> Cell:
        """The cell that is differentiated, without the paths within it that the rule cuts; by default all are kept."""
        return cell

    def paths(self, params: Params, index: int, step: StepJacobian) -> StepJacobian:
        """The Jacobian of the steps of a layer as the rule keeps it; by default all of A_t and b_t."""
        return step

    def learning_signals(
        self, params: Params, feedback: Params, batch: Batch, recorded: Recorded
    ) -> list[LearningSignal]:
        """The learning signal of every layer of one direction, from the first to the last.

        Of a bidirectional network all arguments are those of the direction.
        """
        given = (self.xp, self.model.network, self.model.objective)
        if self.mode == "symmetric":
            found = signals.symmetric(*given, params, batch, recorded)
        else:
            found = signals.broadcast(*given, feedback, batch, recorded)
        return found if self.filtered else [signals.present(signal) for signal in found]

    def kappas(self) -> list[float]:
        """Decay of the filtered trace of every layer, as in its `LearningSignal`."""
        kappa, layers = self.model.network.readout.kappa if self.filtered else 0.0, len(self.model.network.cells)
        return [0.0] * (layers - 1) + [kappa] if self.mode == "symmetric" else [kappa] * layers

    def readout_gradients(self, recorded: Recorded, filtered: tuple[Array, ...] | None) -> Params:
        """Gradients of the readout, and of feedback weights that learn; see the function `readout_gradients`."""
        b_out, at_layers = readout_gradients(self.xp, self.model.network.readout, recorded, filtered)
        gradients = {"readout.w_out": at_layers[-1], "readout.b_out": b_out}
        if self.mode == "adaptive":
            gradients |= {f"feedback.{i}": self.xp.matrix_transpose(g) for i, g in enumerate(at_layers)}
        return gradients

    def initial_feedback(self) -> Params:
        if self.mode == "symmetric":
            return {}
        return signals.random_feedback(self.xp, self.model, self.feedback_seed)

    def learnt_feedback(self) -> tuple[str, ...]:
        return signals.feedback_names(self.model) if self.mode == "adaptive" else ()

    def decay(self) -> dict[str, float]:
        if not self.feedback_decay:
            return {}
        readouts = (f"{direction.prefix}readout.w_out" for direction in self.model.model.directions)
        return dict.fromkeys((*readouts, *self.learnt_feedback()), self.feedback_decay)

    def kept(self, params: Params, index: int, jacobians: Any) -> Any:
        """The Jacobians of a layer with the paths that the rule keeps."""
        if type(self).paths is ThreeFactor.paths:
            return jacobians
        return edited(self.xp, jacobians, functools.partial(self.paths, params, index))

    def record(
        self, params: Params, batch: Batch, state: NetworkState, later: Array | None = None
    ) -> tuple[NetworkState, Recorded]:
        """As `neko.rules.forward.record`, with the paths that the rule keeps."""
        network = without_paths(self.model.network, self.cut)
        state, recorded = forward.record(self.xp, self.model, network, params, batch, state, later)
        return state, self.reduced(params, recorded)

    def record_directions(self, params: Params, batch: Batch) -> list[tuple[Direction, Batch, Recorded]]:
        """As `neko.rules.forward.record_directions`, with the paths that the rule keeps."""
        found = forward.record_directions(self.xp, self.model, params, batch, self.cut)
        return [(direction, own, self.reduced(direction.own(params), recorded)) for direction, own, recorded in found]

    def reduced(self, params: Params, recorded: Recorded) -> Recorded:
        """A recorded pass with the Jacobians that the rule keeps."""
        kept = tuple(self.kept(params, i, jacobians) for i, jacobians in enumerate(recorded.jacobians))
        return recorded._replace(jacobians=kept)

    def differentiate(self, params: Params, feedback: Params, batch: Batch, carry: Any) -> Gradient:
        if carry is None and not self.in_time:
            return self.gradient(whole(self, params, feedback, batch), batch, None)
        return self.in_chunks(params, feedback, batch, carry, batch.x.shape[0])

    def in_chunks(self, params: Params, feedback: Params, batch: Batch, carry: Any, length: int) -> Gradient:
        """As `differentiate`, in chunks: from the last to the first or, with a carry and stepwise, in the order of
        time."""
        backward = carry is None and not self.in_time
        if length >= batch.x.shape[0] and backward:
            return self.differentiate(params, feedback, batch, carry)
        self.check_chunks()
        if carry is not None or length < batch.x.shape[0]:
            check_additive(self.model.objective, batch)
        if backward:
            length = self.joined(batch, length)
            if length >= batch.x.shape[0]:
                return self.differentiate(params, feedback, batch, None)
            return self.gradient(from_the_end(self, params, feedback, batch, length), batch, None)

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

    def chunk(self, params: Params, feedback: Params, batch: Batch, carry: Carry, keep: bool) -> tuple[Chunk, Carry]:
        """The contribution of one chunk, given the carry; `keep` requests the traces for the next chunk."""
        state, recorded = self.record(params, batch, carry.state)
        chunk, later = self.contribution(params, feedback, batch, carry, keep, recorded)
        return chunk, later._replace(state=state)

    def contribution(
        self, params: Params, feedback: Params, batch: Batch, carry: Carry, keep: bool, recorded: Recorded
    ) -> tuple[Chunk, Carry]:
        """As `chunk`, of a recorded pass; the next carry but for the network's state."""
        xp, network = self.xp, self.model.network
        gradients = self.readout_gradients(recorded, carry.filtered)
        rates, traces = [], []
        for i, signal in enumerate(self.learning_signals(params, feedback, batch, recorded)):
            trace, before = recorded.traces[i], None if carry.traces is None else carry.traces[i]
            pre = joined(xp, presynaptic(xp, network.cells[i], trace))
            layer = self.layer_gradient(i, recorded.jacobians[i], pre, signal, before, keep)
            gradients |= layer_gradients(xp, network, i, trace.x.shape[-1], layer.weights)
            rates.append(layer.rates)
            traces.append(layer.traces)
        counts = emitted(xp, batch, recorded)
        pairs = zip(recorded.traces, carry.filtered, strict=True)
        filtered = tuple(leaky_filter(xp, network.readout.kappa, trace.z, f)[0] for trace, f in pairs)
        chunk = Chunk(recorded.loss, recorded.outputs, counts, gradients, tuple(rates))
        return chunk, Carry(carry.state, tuple(traces), filtered)

    def layer_gradient(
        self, index: int, jacobians: Jacobians, pre: tuple[Array, ...], signal: LearningSignal, before: Any, keep: bool
    ) -> LayerGradient:
        """The gradient of a layer in one chunk from the traces before it, None at the start of a sequence, and the
        traces after it."""
        gradient_of = eligibility.stepwise_gradient if self.stepwise else eligibility.chunk_gradient
        return gradient_of(self.xp, jacobians, pre, signal, before, keep)

    def initial_traces(self, jacobians: Jacobians, pre: tuple[Array, ...], cell: Cell, kappa: float) -> Any:
        """The traces of a layer before the first step, per current."""
        return eligibility.initial_traces(self.xp, jacobians, pre, cell.units, kappa)

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
        return gathered(self.xp, self.model.model.cells, chunk, batch, carry, None)

    def initial_carry(self, size: int) -> Carry:
        state = self.model.network.initial_state(self.xp, size)
        return Carry(state, None, tuple(self.xp.zeros_like(layer[-1]) for layer in state.layers))

    def carry_template(self, size: int) -> Carry:
        xp, network, traces = self.xp, self.model.network, []
        for cell, kappa, i in zip(network.cells, self.kappas(), range(len(network.cells)), strict=True):
            before = tree.map(lambda a: xp.expand_dims(a, axis=0), cell.initial_state(xp, size))
            nothing = xp.zeros_like(before[-1])
            x = xp.zeros((1, size, int(self.model.params[f"layers.{i}.w_in"].shape[0])))
            fed = cell.n_currents + len(learnt(cell))
            trace = LayerTrace(x, before[-1], nothing, States(before, (nothing,) * fed))
            jacobians = self.kept(self.model.params, i, step_jacobians(xp, self.cut(cell), trace))
            pre = joined(xp, presynaptic(xp, cell, trace))
            traces.append(self.initial_traces(jacobians, pre, cell, kappa))
        return self.initial_carry(size)._replace(traces=tuple(traces))

    def signal_rms(self, params: Params, feedback: Params, batch: Batch) -> Params:
        return signals.by_layer(self, params, feedback, batch)

    def traces(self, params: Params, feedback: Params, batch: Batch) -> list[LayerTraces]:
        found: list[LayerTraces] = []
        for direction, own, recorded in self.record_directions(params, batch):
            signals = self.learning_signals(direction.own(params), direction.own(feedback), own, recorded)
            found += observed(self.xp, self.model, own, recorded, signals)
        return found
