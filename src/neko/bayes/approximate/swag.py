"""SWAG: a Gaussian with the moments of the weights that gradient descent visits."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from neko.arguments import check_integer
from neko.bayes.approximate.base import Approximation
from neko.bayes.inference import METHODS
from neko.bayes.posterior import Posterior
from neko.data.intake import Examples
from neko.evaluator import Evaluator
from neko.models.network import Params
from neko.rules.base import GradientRule
from neko.training.learner import Measures
from neko.training.learning_rule import LearningRule
from neko.typing import Array

Weights = dict[str, np.ndarray]
ALONG = "along the deviations"
"""What z_2 is called among the numbers of a draw."""


class Moments(NamedTuple):
    """Number of iterates, their mean and sum of squared deviations, and the last deviations (at most `rank`, …)."""

    iterates: int
    mean: Weights
    squares: Weights
    deviations: Weights

    def add(self, w: Weights, rank: int) -> Moments:
        """With a further iterate; its deviation is that from the mean so far, with itself (Maddox et al., algorithm 1).

        >>> found = Moments(0, *({"w": np.zeros(shape)} for shape in ((1,), (1,), (0, 1))))
        >>> for value in (1.0, 3.0, 8.0):
        ...     found = found.add({"w": np.array([value])}, rank=2)
        >>> found.mean["w"], found.squares["w"] / 3, found.deviations["w"].ravel()
        (array([4.]), array([8.66666667]), array([1., 4.]))
        """
        count = self.iterates + 1
        mean = {name: m + (w[name] - m) / count for name, m in self.mean.items()}
        away = {name: w[name] - m for name, m in mean.items()}
        squares = {name: s + (w[name] - self.mean[name]) * away[name] for name, s in self.squares.items()}
        kept = {name: np.concatenate([d, away[name][None]])[-rank:] for name, d in self.deviations.items()}
        return Moments(count, mean, squares, kept)


@METHODS.register("swag")
class SWAG(Approximation):
    r"""Stochastic weight averaging, Gaussian: draw weights from a normal distribution with the moments of the iterates.

    .. math::
        θ = \barθ + \sqrt{T} \left( \frac{1}{\sqrt 2} Σ_{diag}^{1/2} z_1 + \frac{1}{\sqrt{2 (K - 1)}} D z_2 \right)

    with the mean and the variances of the weights at the end of each epoch after the `warmup`, and the last K = `rank`
    deviations D of them from their running mean. The point estimate's objective is followed at a constant learning
    rate, whose size determines the width: the noise of the mini-batches is taken for the shape of the posterior, which
    it is only for a rate that suits it, and T scales the covariance. After each epoch the model has the last iterate;
    `moments` has the means. The running statistics of a batch normalisation are the last ones for all draws.

    Parameters
    ----------
    model : Evaluator
        Model and loss.
    warmup : int
        Number of epochs before the first iterate that counts.
    rank : int
        K, at least 2.
    optimizer, learning_rate
        'momentum' with 0.1 by default; gradient descent with a constant rate is what the theory is about. The best rate
        is about the largest at which the loss still falls.
    **options
        See `Approximation`: ``drift``, ``draws``, ``prior``, …

    Attributes
    ----------
    moments : list of Moments
        Of each chain.

    Raises
    ------
    ValueError
        For counts that are too small; of the posterior before there are two iterates.

    References
    ----------
    Maddox et al. (2019), "A simple baseline for Bayesian uncertainty in deep learning", NeurIPS, eq. 1.
    """

    def __init__(
        self,
        model: Evaluator,
        *,
        warmup: int = 20,
        rank: int = 20,
        optimizer: Any = "momentum",
        learning_rate: Any = None,
        **options: Any,
    ) -> None:
        learning_rate = 0.1 if optimizer == "momentum" and learning_rate is None else learning_rate
        super().__init__(model, optimizer=optimizer, learning_rate=learning_rate, **options)
        self.warmup = check_integer("warmup", warmup, least=0)
        self.rank = check_integer("rank", rank, least=2)
        self.moments: list[Moments] = []
        # without a compiler the operations of one draw cost more than its numbers
        self._numbers = self.xp.jit(self.numbers)

    def expected_loss(self, model: Evaluator, key: Array) -> GradientRule:
        return self.drift

    def finish(self, totals: Measures) -> dict[str, float]:
        self.moments = self.moments or [blank(weights(rule)) for rule in self.rules]
        if self.epochs >= self.warmup:
            pairs = zip(self.moments, self.rules, strict=True)
            self.moments = [moments.add(weights(rule), self.rank) for moments, rule in pairs]
        return super().finish(totals)

    def draw(self, rule: LearningRule, key: Array) -> Params:
        """Drawn in double precision."""
        xp, (count, mean, squares, deviations) = self.xp, self.moments[self.rules.index(rule)]
        numbers = {name: np.array(xp.to_numpy(z), np.float64) for name, z in self._numbers(key).items()}
        k = min(count, self.rank)
        along = numbers.pop(ALONG)[:k] * math.sqrt(self.temperature / (2.0 * (k - 1)))
        found = {}
        for name, z in numbers.items():
            spread = np.sqrt(self.temperature * 0.5 * squares[name] / count)
            found[name] = xp.asarray(mean[name] + spread * z + np.tensordot(along, deviations[name], axes=1))
        return found

    def numbers(self, key: Array) -> Params:
        """z_1 by the name of the weight, and z_2."""
        xp = self.xp
        shapes = {ALONG: (self.rank,), **{name: tuple(w.shape) for name, w in sorted(self.model.params.items())}}
        keys = xp.unstack(xp.random.split(key, len(shapes)))
        return {name: xp.random.normal(own, shape) for (name, shape), own in zip(shapes.items(), keys, strict=True)}

    def drawn(self) -> Posterior:
        if not self.moments or self.moments[0].iterates < 2:
            raise ValueError(
                f"no moments after {self.epochs!r} epochs: train for two or more than warmup={self.warmup!r}"
            )
        return super().drawn()

    def exported(self) -> dict[str, Any]:
        return {**super().exported(), "moments": [moments._asdict() for moments in self.moments]}

    def load(self, saved: dict[str, Any], batches: Iterable[Examples]) -> None:
        super().load(saved, batches)
        self.moments = [Moments(**moments) for moments in saved["moments"]]


def weights(rule: LearningRule) -> Weights:
    """The weights of a rule in double precision."""
    model = rule.model
    return {name: np.array(model.xp.to_numpy(w), np.float64) for name, w in model.params.items()}


def blank(w: Weights) -> Moments:
    """The moments of no iterates."""
    zero = {name: np.zeros_like(a) for name, a in w.items()}
    return Moments(0, zero, zero, {name: np.zeros((0, *a.shape)) for name, a in w.items()})
