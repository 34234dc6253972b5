"""Kronecker-factored real-time recurrent learning."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

from neko import tree
from neko.rules.base import RULES
from neko.rules.influence import Blocks
from neko.rules.lowrank.noise import StochasticInfluence, balance, signs, sized
from neko.rules.tangent import Shape, Step, Tangent
from neko.typing import Array


class Kronecker(NamedTuple):
    """The factors of the influence of the weights onto one current: ``u`` (batch, n_pre), and ``a``, the change of
    every state per neuron that the weights lead to, (batch, n, units) per layer and field."""

    u: Array
    a: Tangent


Factors = tuple[tuple[Kronecker, ...], ...]
"""Per layer and current."""


@RULES.register("kf_rtrl", oracle="dense kf-rtrl")
class KFRTRL(StochasticInfluence):
    r"""Kronecker-factored RTRL: the influence of each matrix of weights as one random Kronecker product.

    .. math::
        M_t ≈ u_t ⊗ A_t, \qquad
        u_t = p_1 u_{t-1} + c\, p_2\, pre_t, \qquad
        A_t = \frac{J_t A_{t-1}}{p_1} + c\, \frac{b_t}{p_2}, \qquad
        p_1^2 = \frac{‖J_t A_{t-1}‖}{‖u_{t-1}‖}, \quad p_2^2 = \frac{‖b_t‖}{‖pre_t‖}

    c is a random sign, so that the mean of the product over the noise is M_t. The direct influence of the weights is
    the Kronecker product :math:`pre_t ⊗ b_t` itself: only one sign is drawn for a matrix, where UORO draws one per
    neuron, and the variance is much smaller.

    Parameters
    ----------
    model : Evaluator
        Model, loss and metrics.
    seed : int
        Seed of the noise.

    Notes
    -----
    A cell of k currents has a product for each of them, such as each gate of a GRU, with its own sign.

    **Locality.** None within a layer: A is a product with the recurrent weights at every step.

    **Cost.** O(k n^3) time and O(k n^2) memory per step and sequence; with a leaky readout in chunks and streams
    O(k n_out n^2).

    **Limits.** Unbiased, but of some variance, which grows with the length of the memory of the network.

    References
    ----------
    Mujika, Meier & Steger (2018), arXiv:1805.10842.
    """

    def start(self, layers: tuple[Shape, ...]) -> Factors:
        xp = self.xp

        def zeros(m: int, rows: int) -> Kronecker:
            a = [(xp.zeros((layer.batch, layers[m].units, layer.units)),) * layer.fields for layer in layers[m:]]
            return Kronecker(xp.zeros((layers[m].batch, rows)), (*(None,) * m, *a))

        return tuple(tuple(zeros(m, rows) for rows in layer.rows) for m, layer in enumerate(layers))

    def advance(self, memory: Factors, step: Step, key: Any) -> Factors:
        count, size = sum(len(own) for own in memory), step.pre[0][0].shape[0]
        sign = iter(self.xp.unstack(signs(self.xp, key, (count, size), examples=1)))
        return tuple(
            tuple(self.later(m, c, old, step, next(sign)) for c, old in enumerate(own)) for m, own in enumerate(memory)
        )

    def later(self, m: int, c: int, old: Kronecker, step: Step, sign: Array) -> Kronecker:
        """The factors of the weights onto current c of layer m after a step."""
        xp, pre = self.xp, step.pre[m][c]
        one = xp.zeros((pre.shape[0], 1, 1)) + xp.eye(step.units[m])
        moved, direct = step.push(xp, old.a), step.push(xp, step.still, step.kick(m, c, one))
        first, second = balance(xp, moved, old.u), balance(xp, direct, pre)
        u = sized(xp, old.u, first) + sized(xp, pre, sign * second)
        return Kronecker(u, tree.map(operator.add, sized(xp, moved, 1.0 / first), sized(xp, direct, sign / second)))

    def rows(self, memory: Factors, credit: Sequence[Array | None]) -> Blocks:
        xp = self.xp

        def product(factors: Kronecker) -> Array:
            pairs = [(q, f[-1]) for q, f in zip(credit, factors.a, strict=True) if q is not None and f is not None]
            return xp.einsum("bp,bqm->bqpm", factors.u, sum(xp.einsum("bqn,bmn->bqm", q, a) for q, a in pairs))

        return tuple(tuple(product(factors) for factors in own) for own in memory)
