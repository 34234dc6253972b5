"""Real-time recurrent learning, exact."""

from __future__ import annotations

from typing import Any, NamedTuple

from neko.backend.protocol import Backend
from neko.cells.base import Cell
from neko.cells.jacobian import StepJacobian
from neko.cells.learnable import learnt
from neko.models.layer import recurrent_weights, split
from neko.models.network import Network, Params, layer_params
from neko.objective import Batch, Forward, mean_rates, spike_counts
from neko.rules.base import RULES, Gradient, GradientRule
from neko.rules.forward import Recorded, record_directions
from neko.rules.jacobian import Jacobians
from neko.rules.synapses import joined, layer_gradients, presynaptic
from neko.typing import Array


class CurrentWeights(NamedTuple):
    """The weights of a layer, one matrix per current, None for a current without input or recurrent weights, and for a
    constant that learns."""

    w_in: tuple[Array | None, ...]
    w_rec: tuple[Array | None, ...]


@RULES.register("rtrl", oracle="bptt")
class RTRL(GradientRule):
    r"""Exact forward-mode gradients: the influence of every weight on every state, at every step.

    .. math::
        M_t = J_t M_{t-1} + ∂h_t/∂W, \qquad dE/dW = \sum_t q_t M_t

    J_t includes all paths: the neuron's own state, the recurrent weights, the layers below. Each layer's influence is
    an array (batch, n_pre, n_weights, n) per state field, so that the cost grows with the fourth power of the layer
    size: a reference for small networks, not a method to train large ones. It equals `BPTT` to rounding.

    Parameters
    ----------
    model : Evaluator
        Model, loss and metrics.

    References
    ----------
    Williams & Zipser (1989), doi:10.1162/neco.1989.1.2.270.
    """

    def differentiate(self, params: Params, feedback: Params, batch: Batch, carry: Any) -> Gradient:
        gradients: Params = {}
        counts: list[Any] = []
        for direction, own, recorded in record_directions(self.xp, self.model, params, batch, uncut):
            found, spikes = self.direction_gradients(direction.own(params), own, recorded)
            gradients |= direction.named(found)
            counts += spikes
        rates = mean_rates(self.xp, tuple(counts), batch.valid)
        return Gradient(Forward(recorded.loss, recorded.outputs, rates), gradients, None)

    def direction_gradients(self, params: Params, batch: Batch, recorded: Recorded) -> tuple[Params, Any]:
        """Gradients and spike counts of one direction of the network, in the order of the direction."""
        xp, network, traces = self.xp, self.model.network, recorded.traces
        cells = network.cells
        counts = spike_counts(xp, cells, tuple(trace.z for trace in traces), batch.valid)
        signals = self.signals(params, batch, recorded.credit, counts)
        pre = tuple(joined(xp, presynaptic(xp, c, t)) for c, t in zip(cells, traces, strict=True))
        blocks = self.influence(params, recorded.jacobians, pre, signals)
        gradients = {
            "readout.w_out": xp.outer_sum(traces[-1].z, recorded.credit),
            "readout.b_out": xp.sum(recorded.error, axis=(0, 1)),
        }
        for i, trace in enumerate(traces):
            gradients |= layer_gradients(xp, network, i, trace.x.shape[-1], blocks[i])
        return gradients, counts

    def signals(self, params: Params, batch: Batch, credit: Array, counts: Any) -> tuple[Array | None, ...]:
        """∂E/∂z_t of each layer by the readout and the rate penalty, without recurrent paths."""
        xp, network, regularizer = self.xp, self.model.network, self.model.objective.regularizer
        result: list[Array | None] = [None] * len(network.cells)
        if regularizer is not None:
            valid, dt = xp.expand_dims(batch.valid, axis=-1), network.readout.dt
            result = [None if c is None else valid * regularizer.error(xp, c, batch.valid, dt) for c in counts]
        top = credit @ xp.matrix_transpose(params["readout.w_out"])
        result[-1] = top if result[-1] is None else top + result[-1]
        return tuple(result)

    def influence(self, params: Params, jacobians: tuple[Jacobians, ...], pre: Any, signals: Any) -> tuple[Any, ...]:
        """Run M forward over all steps; gradient blocks (n_pre, n) per layer and current."""
        xp, network = self.xp, self.model.network
        weights = tuple(build_weights(xp, cell, layer_params(params, i)) for i, cell in enumerate(network.cells))
        start, zeros = self.initial_influence(network, jacobians, pre)

        def step(carry: Any, xs: Any) -> tuple[Any, None]:
            (influence, gradients), (columns, pre_t, signal) = carry, xs
            now = tuple(layer.at(c) for layer, c in zip(jacobians, columns, strict=True))
            later: list[Any] = []
            for i, old in enumerate(influence):
                below = later[i - 1] if i else ()
                later.append(layer_influence(xp, weights[i], now[i], pre_t[i], old, below))
            for i, s in enumerate(signal):
                if s is not None:
                    gradients = add_signal(xp, gradients, later[i], s)
            return (tuple(later), gradients), None

        columns = tuple(layer.xs for layer in jacobians)
        (_, gradients), _ = xp.scan(step, (start, zeros), (columns, pre, signals))
        return gradients

    def initial_influence(self, network: Network, jacobians: Any, pre: Any) -> tuple[Any, Any]:
        """Zero influence of each block (layer, current) on each layer above or at it, and zero gradients."""
        xp = self.xp
        influence = []
        for i, cell in enumerate(network.cells):
            onto = []
            for m, source in enumerate(network.cells[: i + 1]):
                shapes = [(p.shape[1], p.shape[2], source.units, cell.units) for p in pre[m]]
                fields = len(jacobians[i].alive)
                onto.append(tuple(tuple(xp.zeros(shape) for _ in range(fields)) for shape in shapes))
            influence.append(tuple(onto))
        zeros = tuple(tuple(xp.zeros((p.shape[2], cell.units)) for p in pre[m]) for m, cell in enumerate(network.cells))
        return tuple(influence), zeros


def uncut(cell: Cell) -> Cell:
    return cell


def build_weights(xp: Backend, cell: Cell, params: Params) -> CurrentWeights:
    """The weight matrices of a layer, by current."""
    count = cell.n_currents + len(learnt(cell))
    w_in: list[Array | None] = [None] * count
    w_rec: list[Array | None] = [None] * count
    for current, w in zip(cell.input_currents, split(params["w_in"], len(cell.input_currents)), strict=True):
        w_in[current] = w
    if cell.recurrent_currents:
        masked = recurrent_weights(xp, cell, params["w_rec"])
        for current, w in zip(cell.recurrent_currents, split(masked, len(cell.recurrent_currents)), strict=True):
            w_rec[current] = w
    return CurrentWeights(tuple(w_in), tuple(w_rec))


def layer_influence(
    xp: Backend, weights: CurrentWeights, now: StepJacobian, pre: Any, old: Any, below: Any
) -> tuple[Any, ...]:
    """One step of M for one layer: `old` is M_{t-1} of the layer, `below` is M_t of the layer below."""
    own = len(old) - 1
    result = []
    for m, blocks in enumerate(old):
        onto = []
        for c, fields in enumerate(blocks):
            currents = []
            for k, (w_in, w_rec) in enumerate(zip(*weights, strict=True)):
                terms = [fields[-1] @ w_rec] if w_rec is not None else []
                if w_in is not None and m < own:
                    terms.append(below[m][c][-1] @ w_in)
                if m == own and k == c:
                    n = fields[-1].shape[-1]
                    terms.append(xp.reshape(pre[c], (*pre[c].shape, 1, 1)) * xp.eye(n))
                currents.append(sum(terms) if terms else None)
            onto.append(tuple(advance(xp, now, i, fields, currents) for i in range(len(fields))))
        result.append(tuple(onto))
    return tuple(result)


def advance(xp: Backend, now: StepJacobian, i: int, fields: Any, currents: Any) -> Array:
    """Influence on state field i: ``Σ_j A[i][j] M[j] + Σ_c b[i][c] dI_c``."""
    pairs = [*zip(now.state[i], fields, strict=True), *zip(now.current[i], currents, strict=True)]
    batch, n = fields[0].shape[0], fields[0].shape[-1]
    terms = [xp.reshape(a, (batch, 1, 1, n)) * m for a, m in pairs if a is not None and m is not None]
    return sum(terms) if terms else xp.zeros_like(fields[i])


def add_signal(xp: Backend, gradients: Any, influence: Any, signal: Array) -> tuple[Any, ...]:
    """Gradients plus ``q_t M_t`` of one layer's emission."""
    reached = [
        tuple(g + xp.einsum("bn,bpmn->pm", signal, fields[-1]) for g, fields in zip(gs, blocks, strict=True))
        for gs, blocks in zip(gradients, influence, strict=False)
    ]
    return (*reached, *gradients[len(reached) :])
