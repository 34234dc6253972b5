"""Monte Carlo dropout."""

from __future__ import annotations

from typing import Any

from neko.arguments import is_real
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

    Parameters
    ----------
    model : Evaluator
        Model and loss: a network of cells.
    rate : float
        p, at least 0 and below 1.
    **options
        See `Approximation`: ``drift``, ``draws``, ``optimizer``, ``learning_rate``, ``prior``, …

    Raises
    ------
    TypeError
        For a user's module, whose layers are not known here.
    ValueError
        For a rate that is not in [0, 1).

    References
    ----------
    Gal & Ghahramani (2016), "Dropout as a Bayesian approximation", ICML, and "A theoretically grounded application of
    dropout in recurrent neural networks", NIPS, for the mask that is fixed over time.
    """

    def __init__(self, model: Evaluator, *, rate: float = 0.5, **options: Any) -> None:
        super().__init__(model, **options)
        if not (is_real(rate) and 0.0 <= rate < 1.0):
            raise ValueError(f"rate={rate!r}: expected a number of at least 0 and below 1")
        if not model.model.cells:
            raise TypeError(
                f"{model.model!r} is no network of cells: which of its weights lead away from a hidden neuron is not "
                "known here; expected a neko model, or another method such as 'ensemble'"
            )
        self.rate = float(rate)

    def expected_loss(self, model: Evaluator, key: Array) -> GradientRule:
        return MaskedLoss(model, self, key)

    def complexity(self, params: Params, key: Array) -> Params:
        # a row that is zero has a density that does not depend on M, and the others that at M / (1 - p)
        kept = {name: params[name] / (1.0 - self.rate) for name in self.leading()}
        return super().complexity({**params, **kept}, key)

    def draw(self, rule: LearningRule, key: Array) -> Params:
        return scaled(rule.model.params, self.masks(key))

    def masks(self, key: Array) -> Params:
        """m / (1 - p) for the weights that lead away from each hidden layer, (n, 1)."""
        xp, names = self.xp, self.leading()
        keys = xp.unstack(xp.random.split(key, len(names)))
        return {
            name: xp.astype(xp.random.bernoulli(own, 1.0 - self.rate, (self.rows(name), 1)), xp.dtype)
            * (1.0 / (1.0 - self.rate))
            for name, own in zip(names, keys, strict=True)
        }

    def leading(self) -> list[str]:
        """Names of the weights that lead away from each hidden layer."""
        model = self.model.model
        layers = len(model.cells) // len(model.directions)
        names = [*(f"layers.{i}.w_in" for i in range(1, layers)), "readout.w_out"]
        return [f"{direction.prefix}{name}" for direction in model.directions for name in names]

    def rows(self, name: str) -> int:
        """Number of neurons that a weight leads away from."""
        return int(self.model.params[name].shape[0])


class MaskedLoss(GradientRule):
    """The drift's gradient at masked weights, by the weights M; the mask is another one in each update."""

    local = False

    def __init__(self, model: Evaluator, dropout: Dropout, key: Array) -> None:
        super().__init__(model)
        self.dropout = dropout
        self.key = key

    @property
    def name(self) -> str:
        return self.dropout.drift.name

    def differentiate(self, params: Params, feedback: Params, batch: Batch, carry: Any) -> Gradient:
        masks = self.dropout.masks(self.xp.random.fold(self.key, batch.number))
        found = self.dropout.drift.differentiate(scaled(params, masks), feedback, batch, carry)
        return found._replace(gradients=scaled(found.gradients, masks))

    def initial_feedback(self) -> Params:
        return self.dropout.drift.initial_feedback()

    def learnt_feedback(self) -> tuple[str, ...]:
        return self.dropout.drift.learnt_feedback()

    def decay(self) -> dict[str, float]:
        return self.dropout.drift.decay()


def scaled(arrays: Params, factors: Params) -> Params:
    """The arrays, times their factor where there is one."""
    return {name: a * factors[name] if name in factors else a for name, a in arrays.items()}
