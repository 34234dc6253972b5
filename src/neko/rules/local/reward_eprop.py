"""Reward-based e-prop: eligibility traces, a learning signal, and the temporal-difference error as third factor."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import NamedTuple

from neko import tree
from neko.arguments import check_choice, check_integer, is_real
from neko.backend.protocol import Backend
from neko.cells.base import Cell
from neko.models.layer import LayerTrace
from neko.models.network import Network, NetworkState, Params
from neko.models.readout import leaky_filter
from neko.rules.eligibility import Traces, credit_of, initial_traces, traces_after
from neko.rules.forward import without_paths
from neko.rules.jacobian import Jacobians, step_jacobians
from neko.rules.signals import feedback_weights, through
from neko.rules.synapses import joined, layer_gradients, presynaptic
from neko.typing import Array

MODES = ("symmetric", "random")


class Products(NamedTuple):
    """Learning signal times trace of every synapse and sequence: of each layer and current (batch, n_pre, n), of
    ``w_out`` (batch, n, outputs), of ``b_out`` (batch, outputs)."""

    layers: tuple[tuple[Array, ...], ...]
    w_out: Array
    b_out: Array


class Memory(NamedTuple):
    """What one step of the environment leaves for the next, of a size that does not grow with the episode.

    ``traces`` per layer and current, ``filtered`` the emissions of the last layer as the readout filters them
    (batch, n), ``discounted`` the filtered products ``F_γ(L ē)``.
    """

    state: NetworkState
    traces: tuple[tuple[Traces, ...], ...]
    filtered: Array
    discounted: Products


class Seen(NamedTuple):
    """The network after an observation: its memory, outputs (batch, outputs), the Jacobians of its steps, and ``kept``
    (batch, 1), 0 where an episode has begun with it and 1 elsewhere."""

    memory: Memory
    outputs: Array
    jacobians: tuple[Jacobians, ...]
    kept: Array


@dataclass(frozen=True, eq=False)
class RewardEprop:
    r"""Reward-based e-prop of a network of cells.

    .. math::
        δ_t = r_t + γ V_{t+1} - V_t, \qquad \frac{dE}{dW} = \sum_t δ_t F_γ(L_t ē_t), \qquad
        F_γ(x)_t = γ F_γ(x)_{t-1} + x_t

    ē is e-prop's eligibility trace, filtered as the readout filters spikes, and ``L_t = B c\, err_t`` the learning
    signal. Of actor and critic, whose outputs are the logits of the policy π and, last, the value V,

    .. math::
        err_t = (π_k(t) - 1[a_t = k],\; -c_V), \qquad
        L_t^j = -c_V B^V_j + \sum_k B^π_{jk} (π_k(t) - 1[a_t = k])

    By ``R_t - V_t = Σ_s γ^s δ_{t+s}`` the sum is e-prop's gradient of
    ``Σ_t -log π(a_t) A_t + c_V (R_t - V_t)² / 2`` with the advantage ``A_t = R_t - V_t``, held constant, and the return
    ``R_t = Σ_s γ^s r_{t+s}``, which ends in the value V of the last state where an episode is cut off. The readout
    learns by the same sum.

    The methods know neither actions nor values: `advance` feeds an observation to the network, `credit` adds the
    product of signal and trace to the filter, `gradient` multiplies by δ. With γ = 0 and δ = 1 this is e-prop.
    `neko.ActorCritic` is the agent around it. It is no `GradientRule` of a trainer: it has no targets, and δ comes one
    step late.

    Parameters
    ----------
    xp : Backend
        Where arrays live.
    network : Network
        Layers of cells and a readout, read in one direction.
    discount : float
        γ, from 0 to 1, by step of the environment.
    mode : {'symmetric', 'random'}
        The feedback B: ``W_out^T``, or fixed random weights. With symmetric feedback a lower layer is reached by the
        instantaneous path of the step through the layers above, as in `neko.rules.Eprop`.
    feedback_seed : int
        Seed of the random feedback.

    Raises
    ------
    ValueError
        For an unknown mode or a discount out of its range.

    Notes
    -----
    **Locality.** A synapse keeps ε, ē and F_γ(L ē) of its own two neurons; L is one number per neuron, δ one for all.

    **Cost.** O(K n_pre n) time per step of the environment of K time steps and O(n_pre n) memory per parallel
    environment, whatever the length of an episode.

    **Limits.** Credit through recurrent weights and the reset is cut, as in e-prop. With an update in the course of an
    episode its traces and values are those of earlier weights.

    References
    ----------
    Bellec et al. (2020), doi:10.1038/s41467-020-17236-y, eq. 5 and Methods, "Reward-based e-prop".
    """

    xp: Backend
    network: Network
    discount: float = 0.99
    mode: str = "symmetric"
    feedback_seed: int = 0

    def __post_init__(self) -> None:
        if not (is_real(self.discount) and 0.0 <= self.discount <= 1.0):
            raise ValueError(f"discount={self.discount!r}: expected a number from 0 to 1")
        check_choice("mode", self.mode, MODES)
        check_integer("feedback_seed", self.feedback_seed, least=0)

    def initial_feedback(self) -> Params:
        """A matrix (outputs, n) for each layer, with the variance of ``w_out``; none with symmetric feedback."""
        if self.mode == "symmetric":
            return {}
        drawn = feedback_weights(self.xp, self.network.cells, self.network.readout.units, self.feedback_seed)
        return {f"feedback.{i}": b for i, b in enumerate(drawn)}

    @functools.cached_property
    def cut(self) -> Network:
        """The network as e-prop differentiates it; its values are the same."""
        return without_paths(self.network, lambda cell: cell.without_reset())

    def initial_memory(self, params: Params, size: int) -> Memory:
        """The memory of `size` environments before their first observation."""
        xp, outputs, n = self.xp, self.network.readout.units, self.network.cells[-1].units
        state = self.network.initial_state(xp, size)
        x = xp.zeros((1, size, params["layers.0.w_in"].shape[0]))
        traces = []
        for cell, layer in zip(self.cut.cells, self.cut.record(xp.forward_only(), params, x, state)[2], strict=True):
            pre = joined(xp, presynaptic(xp, cell, layer))
            # ē is there for κ = 0 too, where it is e.
            traces.append(initial_traces(xp, step_jacobians(xp, cell, layer), pre, cell.units, kappa=1.0))
        blocks = tuple(tuple(xp.zeros_like(trace.filtered) for trace in layer) for layer in traces)
        products = Products(blocks, xp.zeros((size, n, outputs)), xp.zeros((size, outputs)))
        return Memory(state, tuple(traces), xp.zeros((size, n)), products)

    def advance(self, params: Params, memory: Memory, x: Array, begins: Array) -> Seen:
        """Feed an observation, inputs (time, batch, n_in), to the network; where `begins` (batch,) is 1 an episode
        begins, and nothing is left of the one before."""
        xp, readout, kept = self.xp, self.network.readout, self.xp.expand_dims(1.0 - begins, axis=1)
        start = self.network.initial_state(xp, begins.shape[0])
        state = tree.map(lambda new, old: xp.where(kept > 0.0, old, new), start, memory.state)
        state, y, layers = self.cut.record(xp.forward_only(), params, x, state)
        traces, jacobians = [], []
        for cell, layer, kappa, old in zip(self.cut.cells, layers, self.kappas(), memory.traces, strict=True):
            jacobians.append(step_jacobians(xp, cell, layer))
            traces.append(later_traces(xp, cell, layer, jacobians[-1], kappa, old, kept))
        filtered, _ = leaky_filter(xp, readout.kappa, readout.scaled(layers[-1].z), kept * memory.filtered)
        memory = Memory(state, tuple(traces), filtered, memory.discounted)
        return Seen(memory, y[-1], tuple(jacobians), kept)

    def credit(self, params: Params, feedback: Params, seen: Seen, error: Array) -> Memory:
        """Add the product of signal and trace to the filter, ``F_t = γ F_{t-1} + L_t ē_t``, for the error (batch,
        outputs) of the outputs."""
        xp, memory = self.xp, seen.memory
        pairs = zip(self.signals(params, feedback, seen, error), memory.traces, strict=True)
        layers = tuple(tuple(xp.expand_dims(s, axis=1) * trace.filtered for trace in layer) for s, layer in pairs)
        readout = xp.expand_dims(memory.filtered, axis=2) * xp.expand_dims(error, axis=1)
        decay = self.discount * seen.kept

        def add(f: Array, product: Array) -> Array:
            return (decay if len(f.shape) == 2 else xp.expand_dims(decay, axis=2)) * f + product

        return memory._replace(discounted=tree.map(add, memory.discounted, Products(layers, readout, error)))

    def gradient(self, params: Params, memory: Memory, delta: Array) -> Params:
        """``Σ_b δ_b F_γ(L ē)_b`` of every parameter, for the third factor `delta` (batch,)."""
        xp, (layers, w_out, b_out) = self.xp, memory.discounted
        gradients = {
            "readout.w_out": xp.einsum("b,bpn->pn", delta, w_out),
            "readout.b_out": xp.einsum("b,bn->n", delta, b_out),
        }
        for i, blocks in enumerate(layers):
            n_in = params[f"layers.{i}.w_in"].shape[0]
            summed = tuple(xp.einsum("b,bpn->pn", delta, block) for block in blocks)
            gradients |= layer_gradients(xp, self.network, i, n_in, summed)
        return gradients

    def signals(self, params: Params, feedback: Params, seen: Seen, error: Array) -> list[Array]:
        """The learning signal (batch, n) of every layer."""
        xp, cells = self.xp, self.network.cells
        error = self.network.readout.scaled(error)
        if feedback:
            return [error @ feedback[f"feedback.{i}"] for i in range(len(cells))]
        found = [error @ xp.matrix_transpose(params["readout.w_out"])]
        for i in range(len(cells) - 1, 0, -1):
            above = xp.expand_dims(found[0], axis=0)
            found.insert(0, through(xp, cells[i], params[f"layers.{i}.w_in"], seen.jacobians[i], above)[-1])
        return found

    def kappas(self) -> list[float]:
        """Decay of the filtered trace of every layer: the readout's, but 0 where the signal comes through layers."""
        kappa, layers = self.network.readout.kappa, len(self.network.cells)
        return [kappa] * layers if self.mode == "random" else [0.0] * (layers - 1) + [kappa]


def later_traces(
    xp: Backend,
    cell: Cell,
    layer: LayerTrace,
    jacobians: Jacobians,
    kappa: float,
    traces: tuple[Traces, ...],
    kept: Array,
) -> tuple[Traces, ...]:
    """The traces after the steps of a layer, from those before them where `kept` (batch, 1) is 1, else from zero."""
    credited, delta = credit_of(xp, jacobians, xp.zeros_like(layer.z), [], kappa, keep=True)
    credited = {i: kept * credit for i, credit in credited.items()}
    found = []
    for p, d, before in zip(joined(xp, presynaptic(xp, cell, layer)), delta, traces, strict=True):
        before = before._replace(filtered=xp.expand_dims(kept, axis=2) * before.filtered)
        found.append(traces_after(xp, 0, kappa, credited, xp.permute_dims(p, (1, 2, 0)), d, before))
    return tuple(found)
