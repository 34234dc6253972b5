"""e-prop: eligibility propagation."""

from __future__ import annotations

from typing import Any

import numpy as np

from neko import tree
from neko.arguments import check_choice, check_integer, is_real, plain
from neko.data import frames
from neko.models import initializers
from neko.models.network import NetworkState, Params, split
from neko.models.readout import leaky_filter
from neko.objective import Batch, Forward, mean_rates, spike_count
from neko.rules import eligibility
from neko.rules.base import Gradient, Rule
from neko.rules.cuts import without_reset
from neko.rules.eligibility import Credit, Derivatives
from neko.rules.pieces import Carry, Piece, Recorded
from neko.rules.synapses import joined, presynaptic, weight_gradients
from neko.rules.traces import LayerTraces, traces_of
from neko.typing import Array

MODES = ("symmetric", "random", "adaptive")


class Eprop(Rule):
    r"""e-prop with symmetric, random or adaptive feedback.

    Every weight *ij* keeps an eligibility trace that its own neuron can compute, and every neuron
    hears one learning signal from the readout error:

    .. math::
        ε_t = A_t ε_{t-1} + b_t ⊗ pre_t, \quad e_t = ε_t^z, \quad ē_t = κ ē_{t-1} + e_t, \quad
        \frac{dE}{dW} = \sum_t L_t ē_t, \quad L_t = B\, err_t

    A and b are the derivatives of the cell's step, found by automatic differentiation; credit through the
    recurrent weights and through the reset is cut. Symmetric feedback has ``B = W_out^T`` and equals automatic
    differentiation of the network with exactly these cuts. In a stack, random and adaptive feedback reach each layer by
    its own B from the readout error. Symmetric feedback reaches a lower layer by the instantaneous path of
    each step through the layers above, ``L^l_t = (L^{l+1}_t ∂z_t/∂I_t) W_in^T`` with ``L_t = c W_out^T err_t`` at the
    top; no credit passes through the past of the layers above, of the readout either.

    The whole sequence is done at once by default: an element-wise backward scan and matrix products.
    `chunk` gives the same numbers with memory that does not depend on the length of the sequence,
    `stepwise` by the recursion above as it is printed.

    Parameters
    ----------
    model : Evaluator
        Model, loss and metrics. Its regularizer enters as ``c (f_av - f_0) Σ_t e_t / T``, local to each layer.
    mode : {'symmetric', 'random', 'adaptive'}
        The feedback B. Adaptive feedback gets the update of ``W_out^T`` (of a lower layer: the update
        that a readout at that layer would get).
    chunk : int, optional
        Steps per piece.
    stepwise : bool
        Compute the traces forward, step by step.
    online : bool
        Update the weights after every chunk (``chunk=1``: after every step) instead of at the end.
    feedback_decay : float
        Share λ of ``W_out`` and B that decays with each update in adaptive mode, so that
        they align: with SGD ``B - W_out^T`` shrinks as ``(1 - λ)^t``.
    feedback_seed : int
        Seed of the random feedback.
    **options
        See `Rule`.

    Raises
    ------
    ValueError
        For an unknown mode, `online` without `chunk`, or a `chunk` or stream whose objective is the loss
        of the mean output, which no step can know before the end.

    References
    ----------
    Bellec et al. (2020), doi:10.1038/s41467-020-17236-y, eqs. 1-5, 22-28.

    Examples
    --------
    >>> import numpy as np
    >>> import neko
    >>> model = neko.Evaluator(neko.ALIF(8, 2, "torch"), loss="categorical_crossentropy")
    >>> x, y = np.ones((3, 20, 4)), np.eye(2)[[0, 1, 1]]
    >>> sorted(neko.Eprop(model, mode="random").step(x, y))
    ['loss']
    """

    def __init__(
        self,
        model: Any,
        *,
        mode: str = "symmetric",
        chunk: int | None = None,
        stepwise: bool = False,
        online: bool = False,
        feedback_decay: float = 0.0,
        feedback_seed: int = 0,
        **options: Any,
    ) -> None:
        check_choice("mode", mode, MODES)
        if online and chunk is None:
            raise ValueError("online=True needs chunk: the number of steps between updates, for example chunk=1")
        if not (is_real(feedback_decay) and 0.0 <= feedback_decay < 1.0) or (feedback_decay and mode != "adaptive"):
            raise ValueError(f"feedback_decay={feedback_decay!r}: expected 0 <= λ < 1, and mode='adaptive'")
        super().__init__(model, **options)
        self.mode = mode
        self.chunk = None if chunk is None else check_integer("chunk", chunk)
        self.stepwise = stepwise
        self.online = online
        self.feedback_decay = plain(feedback_decay)
        self.feedback_seed = check_integer("feedback_seed", feedback_seed, least=0)

    @property
    def name(self) -> str:
        return f"eprop:{self.mode}"

    @property
    def carries(self) -> bool:
        return self.stream or self.online

    def accumulate(self, x: Any, y: Any, mask: Any = None) -> dict[str, Any]:
        if self.chunk is None or not self.online:
            return super().accumulate(x, y, mask)
        self.start(x)
        x, y, mask = self.model.arrays(x, y, mask, pieces=self.stream)
        self._check_pieces(y)
        held = self.model.objective.is_held(y)
        if held and self.model.objective.target != "every":
            raise ValueError(f"online=True with target={self.model.objective.target!r}: expected target='every'")
        counts = np.ones(x.shape[:2], bool) if mask is None else self.xp.to_numpy(mask) > 0.0
        if self.stream:
            self._follow(x, mask)
        last = frames.ends(counts)
        measures: dict[str, Any] = {}
        try:
            # In a stream what comes after the last frame that counts moves the state of the next piece.
            end = x.shape[1] if self.stream else int(last.max()) + 1
            for begin in range(0, end, self.chunk):
                piece = slice(begin, begin + self.chunk)
                part = (x[:, piece], y if held else y[:, piece], None if mask is None else mask[:, piece])
                if not counts[:, piece].any():
                    self._read(*part)
                    continue
                closing = (last >= begin) & (last < begin + self.chunk)
                found = self._advance(*part, self.xp.asarray(closing, dtype=self.xp.dtype))
                measures = found if not measures else tree.map(lambda a, b: a + b, measures, found)
        finally:
            if not self.stream:
                self.reset()
        return measures

    def traces(self, x: Any, y: Any, mask: Any = None) -> list[LayerTraces]:
        """Eligibility traces and learning signals of a batch at every step, per layer; see `neko.rules.traces`."""
        return traces_of(self, x, y, mask)

    def initial_feedback(self) -> Params:
        if self.mode == "symmetric":
            return {}
        rng = np.random.default_rng(self.feedback_seed)
        network = self.model.network
        n_out = network.readout.units
        # Like w_out, so that the learning signal has the size that symmetric feedback would give it.
        return {
            f"feedback.{i}": self.xp.asarray(initializers.fan_in_normal(rng, (cell.units, n_out)).T)
            for i, cell in enumerate(network.cells)
        }

    def learnt_feedback(self) -> Params:
        return self.feedback if self.mode == "adaptive" else {}

    def after_update(self, params: Params) -> Params:
        if not self.feedback_decay:
            return params
        keep = 1.0 - self.feedback_decay
        decaying = {"readout.w_out", *self.feedback}
        return {name: keep * p if name in decaying else p for name, p in params.items()}

    def differentiate(self, params: Params, feedback: Params, batch: Batch, carry: Any) -> Gradient:
        at_once = self.chunk is None or self.chunk >= batch.x.shape[0]
        if at_once and not self.stepwise and not self.carries:
            piece = self.whole(params, feedback, batch)
            return Gradient(self.forward(piece, batch), piece.gradients, None)
        if not self.model.objective.additive(batch):
            raise ValueError(
                "target='mean' has no error before the last step: use target='every' or 'last' with chunk, "
                "stepwise and stream, or the whole sequence"
            )
        piece, carry = self.pieces(params, feedback, batch, carry)
        gradients = self.with_rate_term(piece, batch)
        return Gradient(self.forward(piece, batch), gradients, carry)

    def forward(self, piece: Piece, batch: Batch) -> Forward:
        """The measures of a whole sequence."""
        pairs = zip(self.model.network.cells, piece.counts, strict=True)
        counts = tuple(count if cell.spiking else None for cell, count in pairs)
        return Forward(piece.loss, piece.outputs, mean_rates(self.xp, counts, batch.valid))

    def with_rate_term(self, piece: Piece, batch: Batch) -> Params:
        """Gradients plus ``c (f_av - f_0) Σ_t e_t / T``, known only once all spikes are counted."""
        regularizer = self.model.objective.regularizer
        if regularizer is None:
            return piece.gradients
        xp, network = self.xp, self.model.network
        gradients, n_in = dict(piece.gradients), batch.x.shape[-1]
        for i, cell in enumerate(network.cells):
            if cell.spiking:
                error = regularizer.error(xp, piece.counts[i], batch.valid, network.readout.dt)
                blocks = tuple(eligibility.credited(xp, error, block) for block in piece.rates[i])
                added = self.layer_gradients(i, n_in, blocks)
                gradients |= {name: gradients[name] + g for name, g in added.items()}
            n_in = cell.units
        return gradients

    def whole(self, params: Params, feedback: Params, batch: Batch) -> Piece:
        """A sequence at once, without anything to carry on."""
        xp, network = self.xp, self.model.network
        state = network.initial_state(xp, batch.x.shape[1])
        _, recorded = self.record(params, batch, state)
        gradients = self.readout_gradients(recorded, None)
        counts = tuple(spike_count(xp, trace.z, batch.valid) for trace in recorded.traces)
        regularizer = self.model.objective.regularizer
        for i, (cell, credit) in enumerate(
            zip(network.cells, self.credits(params, feedback, batch, recorded), strict=True)
        ):
            reaching = credit.reaching
            if regularizer is not None and cell.spiking:
                error = regularizer.error(xp, counts[i], batch.valid, network.readout.dt)
                reaching = reaching + xp.expand_dims(batch.valid, axis=-1) * error
            trace = recorded.traces[i]
            blocks = eligibility.sequence_gradient(xp, recorded.local[i], presynaptic(xp, cell, trace), reaching)
            gradients |= self.layer_gradients(i, trace.x.shape[-1], blocks)
        return Piece(recorded.loss, recorded.outputs, counts, gradients, ())

    def pieces(self, params: Params, feedback: Params, batch: Batch, carry: Carry | None) -> tuple[Piece, Carry]:
        """A sequence piece by piece; every piece adds its gradients and hands on its traces."""
        xp, time = self.xp, batch.x.shape[0]
        length = time if self.chunk is None else min(self.chunk, time)
        last = (time - 1) // length * length
        if carry is None:
            carry = self.initial_carry(batch)
        held = batch.pooling is not None

        def part(begin: int, end: int) -> Any:
            return tree.map(lambda a: a[begin:end], batch.timed())

        def step(carry: Carry, part: Any, keep: bool = True) -> tuple[Carry, Piece]:
            piece, carry = self.piece(params, feedback, batch.with_timed(part), carry, keep)
            return carry, piece

        def accumulate(old: Any, part: Any, keep: bool = True) -> tuple[tuple[Carry, Piece], Array | None]:
            carry, total = old
            carry, piece = step(carry, part, keep)
            outputs = None if held else piece.outputs
            piece = piece if held else piece._replace(outputs=None)
            return (carry, tree.map(lambda a, b: a + b, total, piece)), outputs

        # The first piece gives the totals their shapes; the last may be shorter, and need not leave traces.
        carry, total = step(carry, part(0, length), self.carries or last > 0)
        outputs = [total.outputs]
        old: Any = (carry, total if held else total._replace(outputs=None))
        if last > length:
            count = last // length - 1
            middle = tree.map(lambda a: xp.reshape(a, (count, length, *a.shape[1:])), part(length, last))
            old, later = xp.scan(accumulate, old, middle)
            if not held:
                outputs.append(xp.reshape(later, (count * length, *later.shape[2:])))
        if last > 0:
            old, later = accumulate(old, part(last, time), self.carries)
            outputs.append(later)
        carry, total = old
        return (total if held else total._replace(outputs=xp.concat(outputs, axis=0))), carry

    def piece(self, params: Params, feedback: Params, batch: Batch, carry: Carry, keep: bool) -> tuple[Piece, Carry]:
        """Gradients of one piece, given what the pieces before it left; `keep` hands on what it leaves."""
        xp, network = self.xp, self.model.network
        state, recorded = self.record(params, batch, carry.state)
        gradients = self.readout_gradients(recorded, carry.filtered)
        rates, traces = [], []
        gradient_of = eligibility.stepwise_gradient if self.stepwise else eligibility.chunk_gradient
        for i, credit in enumerate(self.credits(params, feedback, batch, recorded)):
            pre = joined(xp, presynaptic(xp, network.cells[i], recorded.traces[i]))
            before = None if carry.traces is None else carry.traces[i]
            layer = gradient_of(xp, recorded.local[i], pre, credit, before, keep)
            gradients |= self.layer_gradients(i, recorded.traces[i].x.shape[-1], layer.weights)
            rates.append(layer.rates)
            traces.append(layer.traces)
        counts = tuple(spike_count(xp, trace.z, batch.valid) for trace in recorded.traces)
        filtered = tuple(
            leaky_filter(xp, network.readout.kappa, trace.z, f)[0]
            for trace, f in zip(recorded.traces, carry.filtered, strict=True)
        )
        piece = Piece(recorded.loss, recorded.outputs, counts, gradients, tuple(rates))
        return piece, Carry(state, tuple(traces), filtered)

    def record(self, params: Params, batch: Batch, state: NetworkState) -> tuple[NetworkState, Recorded]:
        """Run the network forward; differentiate the loss by the outputs, and each step of each layer."""
        xp, network, objective = self.xp, self.model.network, self.model.objective
        # Nothing is differentiated through this pass, so spikes need no surrogate.
        state, y, traces = network.record(xp.forward_only(), params, batch.x, state)
        loss, error = objective.error(xp, y, batch)
        local = tuple(
            eligibility.local_derivatives(xp, without_reset(cell), trace)
            for cell, trace in zip(network.cells, traces, strict=True)
        )
        outputs = objective.pooled(xp, y, batch)
        return state, Recorded(loss, outputs, error, network.readout.credit(xp, error), traces, local)

    def credits(self, params: Params, feedback: Params, batch: Batch, recorded: Recorded) -> list[Credit]:
        """The learning signal of every layer, from the first to the last."""
        xp, network = self.xp, self.model.network
        kappa, signal = network.readout.kappa, network.readout.gain * recorded.error
        regularizer = self.model.objective.regularizer
        valid = None if regularizer is None else batch.valid
        each = regularizer is not None and regularizer.per_sequence
        if self.mode != "symmetric":
            weights = [feedback[f"feedback.{i}"] for i in range(len(network.cells))]
            return [Credit(signal @ b, recorded.credit @ b, valid, each, kappa) for b in weights]
        w_out = xp.matrix_transpose(params["readout.w_out"])
        result = [Credit(signal @ w_out, recorded.credit @ w_out, valid, each, kappa)]
        instant = result[0].signal
        for i in range(len(network.cells) - 1, 0, -1):
            instant = self.through(network.cells[i], params[f"layers.{i}.w_in"], recorded.local[i], instant)
            result.insert(0, Credit(instant, instant, valid, each, 0.0))
        return result

    def through(self, cell: Any, w_in: Array, local: Derivatives, signal: Array) -> Array:
        """Signal at a layer's input in the same step: ``Σ_c (signal ∂z_t/∂I_t[c]) W_in[c]^T``."""
        xp, total, slopes = self.xp, None, local.all_steps().current[-1]
        for current, weights in zip(cell.input_currents, split(w_in, len(cell.input_currents)), strict=True):
            slope = slopes[current]
            if slope is not None:
                part = (signal * slope) @ xp.matrix_transpose(weights)
                total = part if total is None else total + part
        return xp.zeros((*signal.shape[:-1], w_in.shape[0])) if total is None else total

    def readout_gradients(self, recorded: Recorded, filtered: tuple[Array, ...] | None) -> Params:
        """Gradients of the readout and of the feedback that learns like it.

        `filtered` is the κ-filtered emission of each layer before the piece, None at the start of a sequence.
        """
        xp, kappa = self.xp, self.model.network.readout.kappa
        seen = []
        for i, trace in enumerate(recorded.traces):
            gradient = eligibility.outer_sum(xp, trace.z, recorded.credit)
            if filtered is not None:
                gradient = gradient + xp.matrix_transpose(filtered[i]) @ (kappa * recorded.credit[0])
            seen.append(gradient)
        gradients = {"readout.w_out": seen[-1], "readout.b_out": xp.sum(recorded.error, axis=(0, 1))}
        if self.mode == "adaptive":
            gradients |= {f"feedback.{i}": xp.matrix_transpose(g) for i, g in enumerate(seen)}
        return gradients

    def layer_gradients(self, index: int, n_in: int, blocks: tuple[Array, ...]) -> Params:
        """Gradients of layer `index`, which has `n_in` inputs, by their full names."""
        gradients = weight_gradients(self.xp, self.model.network.cells[index], n_in, blocks)
        return {f"layers.{index}.{name}": g for name, g in gradients.items()}

    def initial_carry(self, batch: Batch) -> Carry:
        """The network at rest, before any trace."""
        state = self.model.network.initial_state(self.xp, batch.x.shape[1])
        return Carry(state, None, tuple(self.xp.zeros_like(layer[-1]) for layer in state.layers))
