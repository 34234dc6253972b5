"""What spike-timing rules share: sums over pairs of spikes times a modulator, of a whole sequence or in pieces."""

from __future__ import annotations

import functools
import math
from abc import abstractmethod
from typing import Any, NamedTuple

import numpy as np

from neko import tree
from neko.arguments import check_number
from neko.backend import parts
from neko.cells.base import Cell
from neko.models.layer import LayerTrace, recurrent_weights
from neko.models.network import NetworkState, Params
from neko.models.readout import leaky_filter
from neko.objective import Batch, spike_count
from neko.rules.base import Gradient, GradientRule
from neko.rules.chunking import Chunk, by_chunks, check_additive, gathered
from neko.rules.observed import LayerTraces
from neko.rules.synapses import side_by_side
from neko.typing import Array


class PairTraces(NamedTuple):
    """Traces of one layer after a step: of the arrivals at each weight matrix, by its name, (batch, n_pre), and of the
    neurons' own spikes, (batch, n)."""

    pre: dict[str, Array]
    post: Array


class Pairs(NamedTuple):
    """The factors, (time, batch, …), of both sums over pairs of spikes at one weight matrix: ``x_pre ⊗ post``, in which
    the neuron spikes with the arrival or after it, and ``pre ⊗ x_post``, in which it spiked before."""

    x_pre: Array
    post: Array
    pre: Array
    x_post: Array


class Carry(NamedTuple):
    """The state carried from chunk to chunk: the network's, the traces of each layer, the eligibility (batch, n_pre,
    k n) of each weight matrix by its full name (None at the start, and of a rule without one), and the κ-filtered
    emission (batch, n) of the last layer for the gradient of the readout."""

    state: NetworkState
    pairs: tuple[PairTraces, ...]
    eligibility: Params | None
    filtered: Array


class SpikeTiming(GradientRule):
    """A rule that changes weights by pairs of spikes, ``ΔW = Σ_t m_t c_t`` with ``c_t = λ c_{t-1} + s_t``.

    A subclass defines the modulator m, and λ as `eligibility_decay`; s and the options are those of `neko.rules.STDP`.
    """

    streams = True
    has_objective = False
    learns_constants = False
    eligibility_decay: float = 0.0

    def __init__(
        self,
        model: Any,
        *,
        a_plus: float = 1.0,
        a_minus: float = 1.05,
        tau_plus: float = 20.0,
        tau_minus: float = 20.0,
        w_max: float | None = None,
    ) -> None:
        super().__init__(model)
        for cell in model.model.cells:
            if not cell.spiking:
                raise ValueError(
                    f"{type(self).__name__} changes weights by the times of spikes, and {cell!r} emits rates: expected "
                    "spiking cells such as LIF"
                )
        if model.model.bidirectional:
            raise ValueError(
                f"{type(self).__name__} orders spikes in time, and {model.model!r} reads each sequence from its end "
                "too: expected a network of one direction"
            )
        self.a_plus, self.a_minus = check_number("a_plus", a_plus), check_number("a_minus", a_minus)
        self.tau_plus = check_number("tau_plus", tau_plus, positive=True)
        self.tau_minus = check_number("tau_minus", tau_minus, positive=True)
        self.w_max = None if w_max is None else check_number("w_max", w_max, positive=True)

    @abstractmethod
    def modulator(self, feedback: Params, outputs: Array, batch: Batch) -> tuple[Array, Params]:
        """m (time, batch) of every example, and the gradients of feedback weights that learn."""

    def differentiate(self, params: Params, feedback: Params, batch: Batch, carry: Any) -> Gradient:
        return self.in_chunks(params, feedback, batch, carry, batch.x.shape[0])

    def in_chunks(self, params: Params, feedback: Params, batch: Batch, carry: Any, length: int) -> Gradient:
        if length < batch.x.shape[0]:
            check_additive(self.model.objective, batch)
        start = self.initial_carry(batch.x.shape[1]) if carry is None else carry
        step = functools.partial(self.chunk, params, feedback)
        chunk, later = by_chunks(self.xp, step, batch, start, length, carry is not None)
        return gathered(self.xp, self.model.model.cells, chunk, batch, None if carry is None else later, None)

    def chunk(self, params: Params, feedback: Params, batch: Batch, carry: Carry, keep: bool) -> tuple[Chunk, Carry]:
        """The contribution of one chunk, and the next carry; `keep` requests its eligibility."""
        xp, network, objective = self.xp, self.model.network, self.model.objective
        state, y, layers = network.record(xp.forward_only(), params, batch.x, carry.state)
        loss, error = objective.error(xp, y, batch)
        credit, kappa, z = network.readout.credit(xp, error), network.readout.kappa, layers[-1].z
        m, learnt = self.modulator(feedback, y, batch)
        gradients = {name: xp.zeros_like(p) for name, p in params.items()} | learnt
        before = xp.matrix_transpose(carry.filtered) @ (kappa * credit[0])
        gradients |= {"readout.w_out": xp.outer_sum(z, credit) + before, "readout.b_out": xp.sum(error, axis=(0, 1))}

        # A pair meets the modulators of its own step and, ever less, of all later ones.
        decay = self.eligibility_decay
        future = leaky_filter(xp, decay, m, xp.zeros_like(m[0]), reverse=True)[1]
        weight, traces, eligibility = xp.expand_dims(future, axis=-1), [], {}
        for i, cell in enumerate(network.cells):
            found, later = self.pairs(cell, layers[i], batch.valid, carry.pairs[i])
            traces.append(later)
            for short, (x_pre, post, pre, x_post) in found.items():
                name = f"layers.{i}.{short}"
                sums = xp.outer_sum(weight * x_pre, post), xp.outer_sum(weight * pre, x_post)
                change = self.change(cell, short, params[name], *sums)
                if carry.eligibility is not None:
                    change = change + xp.einsum("b,bpn->pn", decay * future[0], carry.eligibility[name])
                gradients[name] = -change / parts.average(batch.x.shape[1])
                if keep and decay:
                    left = xp.asarray(decay ** np.arange(m.shape[0] - 1, -1, -1.0)[:, None, None])
                    sums = each_sum(xp, left * x_pre, post), each_sum(xp, left * pre, x_post)
                    eligibility[name] = self.change(cell, short, params[name], *sums)
                    if carry.eligibility is not None:
                        eligibility[name] = eligibility[name] + decay ** m.shape[0] * carry.eligibility[name]
        counts = tuple(spike_count(xp, layer.z, batch.valid) for layer in layers)
        chunk = Chunk(loss, objective.pooled(xp, y, batch), counts, gradients, ())
        filtered, _ = leaky_filter(xp, kappa, z, carry.filtered)
        return chunk, Carry(state, tuple(traces), eligibility or None, filtered)

    def pairs(
        self, cell: Cell, layer: LayerTrace, valid: Array, before: PairTraces
    ) -> tuple[dict[str, Pairs], PairTraces]:
        """The pairs of a layer by weight matrix, and the traces after its last step."""
        xp, shown, dt = self.xp, self.xp.expand_dims(valid, axis=-1), cell.dt
        plus, minus = math.exp(-dt / self.tau_plus), math.exp(-dt / self.tau_minus)
        post = shown * layer.z
        last_post, x_post = leaky_filter(xp, minus, post, before.post)
        earlier = minus * xp.concat([xp.expand_dims(before.post, axis=0), x_post[:-1]], axis=0)
        found, last_pre = {}, {}
        for name, start in before.pre.items():
            pre = shown * (layer.x if name == "w_in" else layer.emitted)
            last_pre[name], x_pre = leaky_filter(xp, plus, pre, start)
            found[name] = Pairs(x_pre, post, pre, earlier)
        return found, PairTraces(last_pre, last_post)

    def change(self, cell: Cell, name: str, w: Array, causal: Array, acausal: Array) -> Array:
        """ΔW (…, n_pre, k n) of a weight matrix from both sums over pairs, (…, n_pre, n)."""
        blocks = len(cell.input_currents if name == "w_in" else cell.recurrent_currents)
        causal, acausal = (side_by_side(self.xp, [pairs] * blocks) for pairs in (causal, acausal))
        up, down = (1.0, 1.0) if self.w_max is None else (self.w_max - w, w)
        found = self.a_plus * up * causal - self.a_minus * down * acausal
        return found if name == "w_in" else recurrent_weights(self.xp, cell, found)

    def initial_carry(self, size: int) -> Carry:
        xp, network, pairs = self.xp, self.model.network, []
        state = network.initial_state(xp, size)
        for i, cell in enumerate(network.cells):
            names = ("w_in", "w_rec") if cell.recurrent_currents else ("w_in",)
            pre = {name: xp.zeros((size, int(self.model.params[f"layers.{i}.{name}"].shape[0]))) for name in names}
            pairs.append(PairTraces(pre, xp.zeros((size, cell.units))))
        return Carry(state, tuple(pairs), None, xp.zeros_like(state.layers[-1][-1]))

    def carry_template(self, size: int) -> Carry:
        start = self.initial_carry(size)
        if not self.eligibility_decay:
            return start
        names = [f"layers.{i}.{name}" for i, traces in enumerate(start.pairs) for name in traces.pre]
        shapes = {name: (size, *self.model.params[name].shape) for name in names}
        return start._replace(eligibility={name: self.xp.zeros(shape) for name, shape in shapes.items()})

    def modulated(self, params: Params, feedback: Params, batch: Batch) -> tuple[Array, tuple[LayerTrace, ...]]:
        """m of a batch from rest, and its layers over time."""
        xp, network = self.xp, self.model.network
        state = network.initial_state(xp, batch.x.shape[1])
        _, y, layers = network.record(xp.forward_only(), params, batch.x, state)
        return self.modulator(feedback, y, batch)[0], layers

    def traces(self, params: Params, feedback: Params, batch: Batch) -> list[LayerTraces]:
        """Of every weight matrix s, called ``eligibility``, and c, called ``filtered``; ``signal`` is ``-m / batch``,
        the same for all neurons, so that the sum of their products is the gradient."""
        xp, network, start = self.xp, self.model.network, self.initial_carry(batch.x.shape[1])
        m, layers = self.modulated(params, feedback, batch)
        result = []
        for i, (cell, layer) in enumerate(zip(network.cells, layers, strict=True)):
            signal = xp.expand_dims(-m / batch.x.shape[1], axis=-1) + xp.zeros_like(layer.z)
            events, filtered = {}, {}
            pairs, _ = self.pairs(cell, layer, batch.valid, start.pairs[i])
            for name, (x_pre, post, pre, x_post) in pairs.items():
                both = [
                    xp.expand_dims(a, axis=3) * xp.expand_dims(b, axis=2) for a, b in ((x_pre, post), (pre, x_post))
                ]
                s = events[name] = self.change(cell, name, params[f"layers.{i}.{name}"], *both)
                filtered[name] = leaky_filter(xp, self.eligibility_decay, s, xp.zeros_like(s[0]))[1]
            found = LayerTraces(events, filtered, signal, xp.zeros_like(signal))
            result.append(tree.map(lambda a: np.asarray(xp.to_numpy(a)).swapaxes(0, 1), found))
        return result


def each_sum(xp: Any, pre: Array, post: Array) -> Array:
    """``Σ_t pre ⊗ post`` of every example, (batch, n_pre, n)."""
    return xp.permute_dims(pre, (1, 2, 0)) @ xp.permute_dims(post, (1, 0, 2))
