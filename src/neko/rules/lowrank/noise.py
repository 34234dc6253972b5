"""The random signs of stochastic rules, and the norms that balance their two factors."""

from __future__ import annotations

import functools
from typing import Any

from neko import tree
from neko.arguments import check_integer
from neko.backend import parts
from neko.backend.protocol import Backend
from neko.objective import Batch
from neko.rules.influence import InfluenceRule
from neko.rules.lowrank.reduction import norm
from neko.typing import Array

TINY = 1e-7
"""Added to norms, so that their ratio exists where both are zero."""


class StochasticInfluence(InfluenceRule):
    """A rule whose estimate of the influence is random, with the right mean.

    The noise depends on the seed, the number of the update and the step of the sequence: it is new at each update and
    equal for a whole sequence and its chunks, on every backend.

    Parameters
    ----------
    model : Evaluator
        Model, loss and metrics.
    seed : int
        Seed of the noise.
    """

    def __init__(self, model: Any, *, seed: int = 0) -> None:
        super().__init__(model)
        self.seed = check_integer("seed", seed, least=0)

    def key(self, batch: Batch) -> Array:
        found: Array = self.xp.random.fold(self.xp.random.key(self.seed), batch.number)
        return found


def signs(xp: Backend, key: Array, shape: tuple[int, ...], *, examples: int) -> Array:
    """-1 or 1, with equal probability; `examples` is the axis of the examples of a batch."""
    drawn = parts.drawn(functools.partial(xp.random.bernoulli, key, 0.5), shape, examples)
    return 2.0 * xp.astype(drawn, xp.dtype) - 1.0


def balance(xp: Backend, a: Any, b: Any) -> Array:
    """ρ = √(‖a‖ / ‖b‖) of each example, (batch,): ρ b and a / ρ are of equal norm."""
    return xp.sqrt((norm(xp, a) + TINY) / (norm(xp, b) + TINY))


def sized(xp: Backend, a: Any, factor: Array) -> Any:
    """A tree of arrays (batch, …), each example times its factor (batch,)."""
    return tree.map(lambda x: x * xp.reshape(factor, (-1, *[1] * (len(x.shape) - 1))), a)
