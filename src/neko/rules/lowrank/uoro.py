"""Unbiased online recurrent optimization."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

from neko import tree
from neko.models.layer import split
from neko.rules.base import RULES
from neko.rules.influence import Blocks
from neko.rules.lowrank.noise import StochasticInfluence, balance, signs, sized
from neko.rules.tangent import Shape, Step, Tangent
from neko.typing import Array


class RankOne(NamedTuple):
    """s, a change of the states, per layer and field (batch, n); θ, a block (batch, n_pre, n) per layer and current."""

    s: Tangent
    theta: Blocks


@RULES.register("uoro", oracle="dense uoro")
class UORO(StochasticInfluence):
    r"""Unbiased online recurrent optimization: the influence of all weights as one random product of two vectors.

    .. math::
        M_t ≈ s_t θ_t^T, \qquad
        s_t = ρ_0 J_t s_{t-1} + ρ_1 b_t ν, \qquad
        θ_t = \frac{θ_{t-1}}{ρ_0} + \frac{ν ⊗ pre_t}{ρ_1}, \qquad
        ρ_0^2 = \frac{‖θ_{t-1}‖}{‖J_t s_{t-1}‖}, \quad ρ_1^2 = \frac{‖ν ⊗ pre_t‖}{‖b_t ν‖}

    ν are independent signs, one for each current of each neuron, so that the mean of :math:`s_t θ_t^T` over the noise
    is M_t. The factors ρ do not change the mean; they make the variance small.

    Parameters
    ----------
    model : Evaluator
        Model, loss and metrics.
    seed : int
        Seed of the noise.

    Notes
    -----
    The noise enters at the currents, through which all weights act, and not at the states: a state with no weights of
    its own gets none, such as a threshold's adaptation.

    **Locality.** Two numbers of the whole network, the norms, and the product of the credit with s reach every synapse.

    **Cost.** O(n^2) time and O(n^2) memory per step and sequence, as the network itself; with a leaky readout in chunks
    and streams O(n_out n^2).

    **Limits.** The variance is that of one draw for all weights: the direction of a single gradient is nearly
    orthogonal to the exact one (a mean cosine of about .06 for 64 units), and learning takes small rates.

    References
    ----------
    Tallec & Ollivier (2018), arXiv:1702.05043; noise at the currents: Cooijmans & Martens (2019), arXiv:1902.02405.
    """

    def start(self, layers: tuple[Shape, ...]) -> RankOne:
        xp = self.xp
        s = tuple(tuple(xp.zeros((layer.batch, layer.units)) for _ in range(layer.fields)) for layer in layers)
        theta = tuple(tuple(xp.zeros((layer.batch, p, layer.units)) for p in layer.rows) for layer in layers)
        return RankOne(s, theta)

    def advance(self, memory: RankOne, step: Step, key: Any) -> RankOne:
        xp, noise = self.xp, self.noise(step, key)
        moved, kicked = step.push(xp, memory.s), step.push(xp, step.still, noise)
        fresh = tree.map(lambda p, nu: xp.expand_dims(p, axis=2) * xp.expand_dims(nu, axis=1), step.pre, noise)
        first, second = balance(xp, memory.theta, moved), balance(xp, fresh, kicked)
        s = tree.map(operator.add, sized(xp, moved, first), sized(xp, kicked, second))
        theta = tree.map(operator.add, sized(xp, memory.theta, 1.0 / first), sized(xp, fresh, 1.0 / second))
        return RankOne(s, theta)

    def noise(self, step: Step, key: Array) -> Blocks:
        """ν per layer and current, (batch, n)."""
        widths = [(len(pre), n) for pre, n in zip(step.pre, step.units, strict=True)]
        nu = signs(self.xp, key, (step.pre[0][0].shape[0], sum(k * n for k, n in widths)), examples=0)
        found, begin = [], 0
        for k, n in widths:
            found.append(split(nu[:, begin : begin + k * n], k))
            begin += k * n
        return tuple(found)

    def rows(self, memory: RankOne, credit: Sequence[Array | None]) -> Blocks:
        pairs = [(q, s[-1]) for q, s in zip(credit, memory.s, strict=True) if q is not None and s is not None]
        scale = sum(self.xp.einsum("bqn,bn->bq", q, s) for q, s in pairs)
        found: Blocks = tree.map(lambda theta: self.xp.einsum("bq,bpn->bqpn", scale, theta), memory.theta)
        return found
