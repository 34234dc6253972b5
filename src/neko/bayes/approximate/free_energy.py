"""The free energy of an approximate posterior, as a gradient rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from neko.bayes.approximate.around import Around
from neko.evaluator import Evaluator
from neko.models.network import Params
from neko.objective import Batch
from neko.rules.base import Gradient, GradientRule
from neko.typing import Array

Complexity = Callable[[Params, Array], Params]
"""From a distribution's parameters and a random key to the gradient of ``E_q[-log p(θ)] - T H(q)`` by them."""


class FreeEnergy(Around):
    r"""The gradient of the free energy per example of a distribution q of the weights,

    .. math::
        F(q) = E_q[\bar E(θ)] + \frac{1}{λ N} \left( E_q[-\log p(θ)] - T H(q) \right)

    whose minimum over all q is the density of `neko.bayes.Inference`. A q without width has no entropy: F is then the
    penalised loss of a point estimate.

    Parameters
    ----------
    model : Evaluator
        Its parameters are those of q.
    expected : GradientRule
        Gives the gradient of the expected loss by the parameters of q, from a batch; its forward pass is reported.
    complexity : callable
        The other terms, see `Complexity`.
    weight : float
        1 / λN.
    share : float
        Mean weight of a sequence in the loss of the data set (see `neko.objective.Objective.share`), by which the
        gradient of a batch of long sequences counts more where the loss is a mean over frames.
    key : Array
        Random key of the noise in `complexity`, folded with the number of the update.
    """

    def __init__(
        self,
        model: Evaluator,
        expected: GradientRule,
        complexity: Complexity,
        *,
        weight: float,
        share: float,
        key: Array,
    ) -> None:
        super().__init__(model, expected)
        self.complexity = complexity
        self.weight = weight
        self.share = share
        self.key = key

    def differentiate(self, params: Params, feedback: Params, batch: Batch, carry: Any) -> Gradient:
        xp = self.xp
        found = self.inner.differentiate(params, feedback, batch, carry)
        share = self.model.objective.share(xp, batch) / (batch.valid.shape[1] * self.share)
        gradients = {name: share * g for name, g in found.gradients.items()}
        for name, g in self.complexity(params, xp.random.fold(self.key, batch.number)).items():
            gradients[name] = gradients[name] + self.weight * g
        return found._replace(gradients=gradients)
