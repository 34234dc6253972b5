"""Factorised Gaussian distributions of a network's weights."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from neko.backend.protocol import Backend
from neko.bayes.approximate.around import Around
from neko.bayes.approximate.base import Approximation
from neko.bayes.approximate.distributed import MEAN, Distributed, means
from neko.evaluator import Evaluator
from neko.models.network import Params
from neko.objective import Batch
from neko.rules.base import Gradient, GradientRule
from neko.training.learning_rule import LearningRule
from neko.typing import Array


class FactorisedGaussian(Approximation):
    r"""An approximate posterior with independent normal weights, :math:`θ_i \sim N(m_i, σ_i^2)`.

    Its parameters are m and another array of each weight that determines σ. The options are those of `Approximation`.
    """

    width: ClassVar[str]
    """What the name of the array that determines σ ends in."""

    @abstractmethod
    def deviation(self, name: str, width: Array) -> Array:
        """σ of a weight."""

    @abstractmethod
    def by_width(self, product: Array, scale: Array) -> Array:
        """What the update gets as the gradient by the array that determines σ, from ξ ∂L/∂θ and σ."""

    @abstractmethod
    def initial_width(self, name: str, weight: Array) -> Array:
        """The array that determines σ at the start."""

    def spread(self, params: Params) -> dict[str, tuple[Array, Array]]:
        """m and σ by the name of the weight."""
        return {name: (m, self.deviation(name, params[name + self.width])) for name, m in means(params).items()}

    def evaluator(self, weights: Params) -> Evaluator:
        other = super().evaluator(weights)
        with self.xp.scope():
            widths = {name + self.width: self.initial_width(name, w) for name, w in weights.items()}
        other.model = Distributed(other.model, {name + MEAN: w for name, w in weights.items()} | widths)
        return other

    def expected_loss(self, model: Evaluator, key: Array) -> GradientRule:
        return Drawn(model, self, key)

    def center(self, params: Params) -> Params:
        return means(params)

    def draw(self, rule: LearningRule, key: Array) -> Params:
        return drawn(self.xp, self.spread(rule.model.params), key)[0]


class Drawn(Around):
    r"""The gradient of the loss at drawn weights :math:`θ = m + σ ξ`, as one by m and σ.

    With ξ standard normal

    .. math:: ∂_m E[L] = E[∂_θ L], \qquad ∂_σ E[L] = E[ξ\, ∂_θ L]

    for a differentiable L; the derivatives of a spiking network are those of the method's drift, with surrogates. One
    draw is shared by a batch.

    References
    ----------
    Kingma & Welling (2014), arXiv:1312.6114; Blundell et al. (2015), arXiv:1505.05424.
    """

    def __init__(self, model: Evaluator, method: FactorisedGaussian, key: Array) -> None:
        super().__init__(model, method.drift)
        self.method = method
        self.key = key

    def differentiate(self, params: Params, feedback: Params, batch: Batch, carry: Any) -> Gradient:
        spread = self.method.spread(params)
        weights, noise = drawn(self.xp, spread, self.xp.random.fold(self.key, batch.number))
        found = self.inner.differentiate(weights, feedback, batch, carry)
        gradients = {name: g for name, g in found.gradients.items() if name not in spread}  # of learnt feedback
        for name, (_, scale) in spread.items():
            g = found.gradients[name]
            gradients[name + MEAN] = g
            gradients[name + self.method.width] = self.method.by_width(g * noise[name], scale)
        return found._replace(gradients=gradients)

    def decay(self) -> dict[str, float]:
        learnt = self.learnt_feedback()
        return {name if name in learnt else name + MEAN: share for name, share in super().decay().items()}


def drawn(xp: Backend, spread: dict[str, tuple[Array, Array]], key: Array) -> tuple[Params, Params]:
    """Weights m + σ ξ, and ξ, by name."""
    keys = dict(zip(spread, xp.unstack(xp.random.split(key, len(spread))), strict=True))
    noise = {name: xp.random.normal(keys[name], tuple(m.shape)) for name, (m, _) in spread.items()}
    return {name: m + scale * noise[name] for name, (m, scale) in spread.items()}, noise
