"""Sketched real-time recurrent learning, with a running bound on its error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from neko.arguments import check_integer
from neko.models.network import Params
from neko.rules.base import RULES
from neko.rules.eligibility import forward_vectors
from neko.rules.influence import Blocks, InfluenceRule
from neko.rules.lowrank.reduction import added, growth, norm
from neko.rules.tangent import Shape, Step, matrix, with_loops
from neko.typing import Array


class Sketch(NamedTuple):
    """What is kept of the influence M of a layer's weights on its states: ``S + L R^T``.

    ``traces`` S per current and field, (batch, n_pre, n); ``left`` L (batch, states, r), ``right`` R (batch, weights,
    r) with orthonormal or zero columns, where the states are the fields one after another and the weights those of all
    currents; ``error`` (batch,), the bound on the Frobenius norm of what is left out, and ``filtered``, the same for M
    as the readout filters it.
    """

    traces: tuple[dict[int, Array], ...]
    left: Array
    right: Array
    error: Array
    filtered: Array


@RULES.register("sketched", oracle="dense sketch")
class SketchedRTRL(InfluenceRule):
    r"""Sketched RTRL: SnAp-1 and a sketch of rank r of all other influence, with a running bound on the error.

    .. math::
        M_t ≈ S_t + L_t R_t^T, \qquad
        S_t = D_t S_{t-1} + b_t ⊗ pre_t, \qquad
        L_t R_t^T = ⌊ J_t L_{t-1} R_{t-1}^T + ⌊ (J_t - D_t) S_{t-1} ⌋_c ⌋_r

    D is the part of J within each neuron and :math:`⌊·⌋_r` the best approximation of rank r. What S passes to the
    other neurons is first reduced to rank ``c = max(4, ⌈r/4⌉)``. The Frobenius norm of M minus its approximation is at
    most

    .. math::
        e_t = \bar ρ_t e_{t-1} + η_t, \qquad
        \bar ρ_t = \min\left(‖J_t‖_F, \sqrt{‖J_t‖_1 ‖J_t‖_∞}\right),

    where η_t is what the two reductions leave out, and so the hidden gradient is exact to :math:`\sum_t ‖q_t‖ e_t`.
    Rank 0 is SnAp-1; with a rank of all states of a layer (neurons times fields) nothing is left out, and
    one layer has the gradient of RTRL.

    Parameters
    ----------
    model : Evaluator
        Model, loss and metrics.
    rank : int
        r; above the number of states it is that number.

    Notes
    -----
    As in `neko.rules.OSTL`, M is that of one layer at a time. The rule reports ``influence_error``, the mean of e over
    layers, sequences and steps, and ``gradient_error``, the bound on the error of the gradient relative to the length
    of the gradient.

    **Locality.** None within a layer.

    **Cost.** O(n^2 (n + r^2)) time and O(n^2 r) memory per step and sequence; the reduction to rank c takes a singular
    value decomposition of an n × n matrix.

    **Limits.** The bound grows without limit where :math:`\bar ρ > 1`. No credit passes through the past of the layers
    above.

    References
    ----------
    Yi & Wang (2026), "Certified low-rank real-time recurrent learning for dense recurrent neural networks",
    github.com/sonaradarcn/sketched-rtrl.
    """

    across = False

    def __init__(self, model: Any, *, rank: int = 16) -> None:
        super().__init__(model)
        self.rank = check_integer("rank", rank, least=0)

    def start(self, layers: tuple[Shape, ...]) -> Sketch:
        xp, (layer,) = self.xp, layers
        states, weights = layer.fields * layer.units, sum(layer.rows) * layer.units
        rank = min(self.rank, states)
        traces = tuple(
            {i: xp.zeros((layer.batch, rows, layer.units)) for i in range(layer.fields)} for rows in layer.rows
        )
        left, right = (xp.zeros((layer.batch, size, rank)) for size in (states, weights))
        return Sketch(traces, left, right, xp.zeros((layer.batch,)), xp.zeros((layer.batch,)))

    def advance(self, memory: Sketch, step: Step, key: Array | None) -> Sketch:
        xp, n = self.xp, step.units[0]
        (weights,), (jacobian,), (pre,) = step.weights, step.jacobians, step.pre
        whole, own = matrix(xp, jacobian, weights, n), with_loops(xp, jacobian, weights.w_rec)
        traces = tuple(forward_vectors(xp, own, old, c, pre[c])[0] for c, old in enumerate(memory.traces))

        # (J - D) S is what reaches others from each neuron, times the trace of its emission
        emission = xp.concat([old[len(old) - 1] for old in memory.traces], axis=1)
        length = xp.sqrt(xp.sum(xp.square(emission), axis=1, keepdims=True))
        unit = emission / xp.where(length > 0.0, length, xp.ones_like(length))
        others = 1.0 - xp.tile(xp.eye(n), (len(jacobian.state), 1))
        reaching = whole[:, :, -n:] * others * length
        left, right, lost = added(xp, whole @ memory.left, memory.right, reaching, unit)
        error = growth(xp, whole) * memory.error + lost
        return Sketch(traces, left, right, error, self.model.network.readout.kappa * memory.filtered + error)

    def rows(self, memory: Sketch, credit: Sequence[Array | None]) -> Blocks:
        xp, q, found, begin = self.xp, self.only(credit), [], 0
        products = (q @ memory.left[:, -q.shape[-1] :]) @ xp.matrix_transpose(memory.right)
        for traces in memory.traces:
            trace = traces[len(traces) - 1]
            end = begin + trace.shape[1] * trace.shape[2]
            rest = xp.reshape(products[..., begin:end], (*q.shape[:2], *trace.shape[1:]))
            found.append(rest + xp.expand_dims(q, axis=2) * xp.expand_dims(trace, axis=1))
            begin = end
        return (tuple(found),)

    def measured(self, memory: Sketch, credit: Sequence[Array | None]) -> Array:
        """Sums over sequences of e, of 1 and of ‖q‖ e."""
        q = self.only(credit)
        terms = [memory.error, self.xp.ones_like(memory.error), norm(self.xp, q) * memory.error]
        return self.xp.sum(self.xp.stack(terms), axis=1)

    def measured_before(self, memory: Sketch, credit: Array) -> Array:
        bound = self.xp.sum(norm(self.xp, credit) * memory.filtered)
        return self.xp.stack([0.0 * bound, 0.0 * bound, bound])

    def report(self, measured: Sequence[Array], gradients: Params) -> dict[str, Any]:
        error, count, bound = self.xp.unstack(sum(measured))
        hidden = [g for name, g in gradients.items() if "layers." in name]
        length = self.xp.sqrt(sum(self.xp.sum(self.xp.square(g)) for g in hidden))
        return {"influence_error": (error, count), "gradient_error": (bound, length)}

    @staticmethod
    def only(credit: Sequence[Array | None]) -> Any:
        """The credit of the only layer."""
        return credit[0]
