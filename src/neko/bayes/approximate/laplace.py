"""The Laplace approximation of the readout."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from neko.arguments import check_choice
from neko.bayes.approximate.base import Approximation
from neko.bayes.approximate.curvature import Frames, Noise, frames, full, kronecker, readout_names
from neko.bayes.inference import METHODS
from neko.bayes.posterior import Posterior
from neko.data.intake import Examples
from neko.evaluator import Evaluator
from neko.models.network import Params
from neko.rules.base import GradientRule
from neko.training.learning_rule import LearningRule
from neko.typing import Array

COVARIANCES = ("kronecker", "full")


@METHODS.register("laplace")
class LastLayerLaplace(Approximation):
    r"""Train to the most probable weights, then draw the readout's from a normal distribution around them.

    .. math::
        W \sim N(\hat W, T Λ^{-1}), \qquad Λ = λ \sum_n \tildeφ_n \tildeφ_n^T ⊗ H_n - ∇^2 \log p(\hat W)

    where :math:`\tildeφ_n` are the features that the loss sees, the emissions of the last layer filtered by the readout
    and pooled over time, with a 1 for the bias, and H_n the second derivative of an example's loss by the outputs:
    ``diag(p) - p p^T`` for a softmax. Outputs are linear in the readout, so this is its exact Hessian, and equal to the
    generalised Gauss-Newton matrix; under 'half_squared_error' and a normal prior the draws are from the exact
    posterior of the readout, given the other weights. Those have their trained values in every draw: a spike has no
    derivative that a Hessian could be made of.

    Parameters
    ----------
    model : Evaluator
        Model and loss: a network of cells.
    covariance : {'kronecker', 'full'}
        'full' is Λ, a matrix of ((n + 1) K)² for n features and K outputs: 800 MB for 1,000 and 10. 'kronecker' takes
        for the sum the product :math:`\sum_n \tildeφ_n \tildeφ_n^T ⊗ \bar H` with the mean of H_n, which is
        equal where all H_n are, and costs n³ instead of (n K)³.
    **options
        See `Approximation`: ``drift``, ``draws``, ``optimizer``, ``learning_rate``, ``prior``, …

    Raises
    ------
    TypeError
        For a user's module, whose readout is not known here.
    ValueError
        For a prior of the readout without curvature (expected a `Normal`), or of several scales under 'kronecker'.

    References
    ----------
    MacKay (1992), "A practical Bayesian framework for backpropagation networks", doi:10.1162/neco.1992.4.3.448.
    Daxberger et al. (2021), "Laplace redux", NeurIPS, on the last layer alone; Ritter et al. (2018), ICLR, eq. 5.
    """

    def __init__(self, model: Evaluator, *, covariance: str = "kronecker", **options: Any) -> None:
        super().__init__(model, **options)
        check_choice("covariance", covariance, COVARIANCES)
        if not model.model.cells:
            raise TypeError(
                f"{model.model!r} is no network of cells: which of its layers is a linear readout is not known here; "
                "expected a neko model, or another method such as 'swag'"
            )
        self.covariance = covariance
        self._batches: list[Examples] = []
        self._noise: list[Noise] = []
        # without a compiler the operations of one draw cost more than its numbers
        self._numbers = self.xp.jit(self.numbers)

    def expected_loss(self, model: Evaluator, key: Array) -> GradientRule:
        return self.drift

    def look(self, batches: Iterable[Examples]) -> Iterable[Examples]:
        """The batches, unchanged; those of the first epoch of a call are kept, since the curvature is that of all."""
        looked = super().look(batches)
        if looked is not batches:
            self._batches = list(looked)
        return looked

    def drawn(self) -> Posterior:
        self._noise = [self.noise(rule.model.params) for rule in self.rules]
        return super().drawn()

    def draw(self, rule: LearningRule, key: Array) -> Params:
        """Drawn in double precision."""
        xp, params, names = self.xp, rule.model.params, readout_names(self.model.model)
        mean = stacked(xp, {name: params[name] for name in names})
        z = np.array(xp.to_numpy(self._numbers(key)), np.float64)
        w = mean + np.sqrt(self.temperature) * self._noise[self.rules.index(rule)](z)
        ends = np.cumsum([1 if len(params[name].shape) == 1 else params[name].shape[0] for name in names])
        parts = zip(names, np.split(w, ends[:-1]), strict=True)
        return {**params, **{name: xp.asarray(part.reshape(params[name].shape)) for name, part in parts}}

    def numbers(self, key: Array) -> Array:
        """Standard normal numbers, (rows, outputs)."""
        shapes = [tuple(self.model.params[name].shape) for name in readout_names(self.model.model)]
        return self.xp.random.normal(key, (sum(1 if len(s) == 1 else s[0] for s in shapes), shapes[0][-1]))

    def noise(self, params: Params) -> Noise:
        """Noise with the inverse curvature at some weights as its covariance."""
        xp, model = self.xp, self.model
        look = xp.jit(lambda params, *arrays: frames(model, params, model.batch(*arrays)))
        found, shares = [], []
        with xp.scope():
            for batch in self._batches:
                arrays = tuple(batch[:3])
                found.append([np.array(xp.to_numpy(a), np.float64) for a in look(params, *arrays)])
                shares.append(float(model.objective.share(xp, model.batch(*arrays))))
            curvature = {name: self.prior_precision(name, params[name]) for name in readout_names(model.model)}
            prior = stacked(xp, curvature)
        if not (prior > 0.0).all():
            raise ValueError("the prior of the readout has no curvature at its maximum: expected a Normal")
        scale = self.power * self.examples / sum(shares)
        scaled = [Frames(phi, scale * share * w, h) for (phi, w, h), share in zip(found, shares, strict=True)]
        return (full if self.covariance == "full" else kronecker)(scaled, prior)

    def prior_precision(self, name: str, w: Array) -> Array:
        """-d² log p / dw² of each entry, which are independent."""
        xp = self.xp
        return -xp.value_and_grad(lambda w: xp.sum(self.priors[name].logdensity_and_gradient(xp, w)[1]))(w)[1]


def stacked(xp: Any, params: Params) -> np.ndarray:
    """Weights and biases as the rows of one matrix, in double precision."""
    return np.concatenate([np.atleast_2d(np.array(xp.to_numpy(w), np.float64)) for w in params.values()])
