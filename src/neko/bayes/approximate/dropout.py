"""Monte Carlo dropout."""

from __future__ import annotations

import fnmatch
import functools
from collections.abc import Iterable
from typing import Any

from neko.arguments import as_list, is_real
from neko.bayes.approximate.around import Around
from neko.bayes.approximate.base import Approximation
from neko.bayes.inference import METHODS
from neko.evaluator import Evaluator
from neko.models.network import Params
from neko.objective import Batch
from neko.rules.base import Gradient, GradientRule
from neko.training.learning_rule import LearningRule
from neko.typing import Array


@METHODS.register("dropout")
class Dropout(Approximation):
    r"""Monte Carlo dropout: hidden neurons are silenced at random, in training and at prediction.

    .. math::
        θ = m ∘ M / (1 - p), \qquad m_j \sim \mathrm{Bernoulli}(1 - p)

    for each neuron j of a hidden layer: its row of the weights onto the next layer or the readout is zero with
    probability p, and else scaled so that the mean of the weights is M. This is a mask on what the neuron emits, which
    stays the same for a whole sequence; its recurrent weights, and the inputs, are not masked. A draw of the posterior
    is the network under one mask; after each epoch the model has the weights M, the 'mean network'.

    In training each batch has one mask, as in the variational objective for q(θ): so every gradient rule applies as it
    is, to the masked weights, and a compiled step has no cost for each example. A mask for each example would have less
    noise in its gradient. The prior's term is the exact mean over masks, :math:`E_q[-\log p(θ)]`; the entropy of the
    masks does not depend on M.

    Of a module of your own the weights must be named whose inputs are masked: those of Linear, Dense or Conv layers (of
    a convolution whole channels). Its own dropout layers are not used for predictions: leave them out.

    Parameters
    ----------
    model : Evaluator
        Model and loss.
    rate : float
        p, at least 0 and below 1.
    weights : sequence of str, optional
        Names or patterns of the weights whose inputs are masked, each by a mask of its own; for a network of cells by
        default all that lead from a hidden layer to the next one or to the readout.
    **options
        See `Approximation`: ``drift``, ``draws``, ``optimizer``, ``learning_rate``, ``prior``, …

    Raises
    ------
    TypeError
        For a user's module without `weights`, or with products of weights that are not known here.
    ValueError
        For a rate that is not in [0, 1), and `weights` that the model does not have.

    References
    ----------
    Gal & Ghahramani (2016), "Dropout as a Bayesian approximation", ICML, and "A theoretically grounded application of
    dropout in recurrent neural networks", NIPS, for the mask that is fixed over time.
    """

    def __init__(
        self, model: Evaluator, *, rate: float = 0.5, weights: Iterable[str] | None = None, **options: Any
    ) -> None:
        super().__init__(model, **options)
        if not (is_real(rate) and 0.0 <= rate < 1.0):
            raise ValueError(f"rate={rate!r}: expected a number of at least 0 and below 1")
        self.rate = float(rate)
        # without a compiler the operations of one draw cost more than its numbers
        self._masks = self.xp.jit(self.masks)
        self.weights = None if weights is None else as_list("weights", weights, "['layers.2.weight']")
        if weights is None and not model.model.cells:
            raise TypeError(
                f"{model.model!r} is no network of cells, of which the hidden layers are known: expected weights=[…], "
                "the names of weights whose inputs are masked"
            )

    def expected_loss(self, model: Evaluator, key: Array) -> GradientRule:
        return MaskedLoss(model, self, key)

    def complexity(self, params: Params, key: Array) -> Params:
        # a row that is zero has a density that does not depend on M, and the others that at M / (1 - p)
        kept = {name: params[name] / (1.0 - self.rate) for name in self.shapes}
        return super().complexity({**params, **kept}, key)

    def draw(self, rule: LearningRule, key: Array) -> Params:
        return scaled(rule.model.params, self._masks(key))

    def masks(self, key: Array) -> Params:
        """m / (1 - p) by the name of the weight, in a shape that broadcasts with it."""
        xp, kept = self.xp, 1.0 - self.rate
        keys = xp.unstack(xp.random.split(key, len(self.shapes)))
        drawn = (xp.random.bernoulli(own, kept, shape) for own, shape in zip(keys, self.shapes.values(), strict=True))
        return {name: xp.astype(mask, xp.dtype) / kept for name, mask in zip(self.shapes, drawn, strict=True)}

    @functools.cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of the mask of each weight: 1 but for the axis of its inputs; of a model that is built."""
        model = self.model.model
        axes = model.asymmetric()
        patterns = ["*.w_in", "*.w_out"] if self.weights is None else self.weights
        names = [name for name in axes if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]
        idle = [pattern for pattern in self.weights or () if not fnmatch.filter(axes, pattern)]
        if idle:
            raise ValueError(f"weights={idle!r}: expected names or patterns of {sorted(axes)!r}")
        found = {}
        for name in names:
            shape = tuple(model.params[name].shape)
            inputs = 1 if axes[name] == 0 else len(shape) - 2
            found[name] = tuple(int(n) if axis == inputs else 1 for axis, n in enumerate(shape))
        return found


class MaskedLoss(Around):
    """The drift's gradient at masked weights, by the weights M; the mask is another one in each update."""

    def __init__(self, model: Evaluator, dropout: Dropout, key: Array) -> None:
        super().__init__(model, dropout.drift)
        self.dropout = dropout
        self.key = key

    def differentiate(self, params: Params, feedback: Params, batch: Batch, carry: Any) -> Gradient:
        masks = self.dropout.masks(self.xp.random.fold(self.key, batch.number))
        found = self.inner.differentiate(scaled(params, masks), feedback, batch, carry)
        return found._replace(gradients=scaled(found.gradients, masks))


def scaled(arrays: Params, factors: Params) -> Params:
    """The arrays, times their factor where there is one."""
    return {name: a * factors[name] if name in factors else a for name, a in arrays.items()}
