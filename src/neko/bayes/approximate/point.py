"""The point estimate: the most probable weights."""

from __future__ import annotations

from typing import Any

from neko.bayes.approximate.base import Approximation
from neko.bayes.inference import METHODS
from neko.evaluator import Evaluator
from neko.rules.base import GradientRule
from neko.typing import Array


@METHODS.register("point")
class PointEstimate(Approximation):
    r"""Train a network to the maximum of its posterior density (MAP), by any rule and optimizer.

    .. math::
        \hat θ = \arg\max_θ \; λ \log L(θ) + \log p(θ)

    A normal prior of scale σ adds ``w / (λ N σ²)`` to the gradient of every batch, which is the L2 penalty; with Adam
    this is not the decoupled decay of 'adamw'. The temperature does not move the maximum. All draws are this one
    network, so the posterior has no uncertainty of the weights, and its mutual information is 0; with ``chains=5`` it
    is an ensemble, see `Ensemble`. Gradient descent finds a maximum, not the highest one.

    Parameters
    ----------
    model : Evaluator
        Model and loss.
    **options
        See `Approximation`: ``drift``, ``optimizer``, ``learning_rate``, ``prior``, … One draw suffices.

    References
    ----------
    Bishop (2006), "Pattern recognition and machine learning", section 1.2.5.
    """

    def __init__(self, model: Evaluator, *, draws: int = 1, **options: Any) -> None:
        super().__init__(model, draws=draws, **options)

    def expected_loss(self, model: Evaluator, key: Array) -> GradientRule:
        return self.drift
