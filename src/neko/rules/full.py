"""The influence of every weight on every state, of which a rule may keep a part."""

from __future__ import annotations

from collections.abc import Sequence

from neko.rules.influence import Blocks, InfluenceRule
from neko.rules.tangent import Shape, Step, Tangent
from neko.typing import Array

Influence = tuple[tuple[Tangent, ...], ...]
"""Per layer and current of the weights, their influence on each layer: per field (batch, n_pre, n, units), of which n
are the neurons that the weights lead to."""


class FullInfluence(InfluenceRule):
    r"""A rule that carries the influence itself.

    .. math::
        M_t = J_t M_{t-1} + b_t ⊗ pre_t
    """

    def start(self, layers: tuple[Shape, ...]) -> Influence:
        def zeros(rows: int, source: int, layer: Shape) -> tuple[Array, ...]:
            return (self.xp.zeros((layer.batch, rows, layers[source].units, layer.units)),) * layer.fields

        return tuple(
            tuple((None,) * m + tuple(zeros(rows, m, layer) for layer in layers[m:]) for rows in layers[m].rows)
            for m in range(len(layers))
        )

    def advance(self, memory: Influence, step: Step, key: Array | None) -> Influence:
        xp = self.xp

        def later(m: int, c: int, tangent: Tangent) -> Tangent:
            pre = step.pre[m][c]
            one = xp.reshape(pre, (*pre.shape, 1, 1)) * xp.eye(step.units[m])
            return step.push(xp, tangent, step.kick(m, c, one))

        return tuple(tuple(later(m, c, old) for c, old in enumerate(own)) for m, own in enumerate(memory))

    def rows(self, memory: Influence, credit: Sequence[Array | None]) -> Blocks:
        def product(tangent: Tangent) -> Array:
            pairs = [(q, f[-1]) for q, f in zip(credit, tangent, strict=True) if q is not None and f is not None]
            return sum(self.xp.einsum("bqn,bpmn->bqpm", q, m) for q, m in pairs)

        return tuple(tuple(product(tangent) for tangent in own) for own in memory)
