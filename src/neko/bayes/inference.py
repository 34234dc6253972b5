"""The base of Bayesian learners: methods whose result is a posterior of the weights."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from neko import identity
from neko.arguments import check_integer, check_number
from neko.bayes import priors
from neko.bayes.density import Density
from neko.bayes.posterior import Posterior
from neko.evaluator import Evaluator
from neko.registry import Registry
from neko.training.learner import Learner

METHODS: Registry[type[Inference]] = Registry("method", "neko.bayes")
"""Bayesian methods by name: samplers and approximations."""


class Inference(Learner):
    r"""A learner with a `posterior`, an exact or approximate one of

    .. math::
        \log π(θ) = \frac{λ \log L(θ) + \log p(θ)}{T} + const, \qquad \log L(θ) = -N \bar E(θ)

    with the loss :math:`\bar E` of the whole data set as the evaluator reports it, N sequences and the prior p. With a
    loss that is a negative log likelihood per sequence (cross-entropy, or 'half_squared_error' for unit noise) and
    λ = T = 1 this is the Bayesian posterior. N is the number of examples of the data set, even where a loader drops
    some.

    Parameters
    ----------
    model : Evaluator
        Model and loss.
    prior : Prior, float or dict
        One for all parameters, or by name or pattern (``{'readout.*': Normal(0.3), '*': 1.0}``); a number is the
        standard deviation of a normal.
    power : float
        λ, the power of the likelihood, above 0; above 1 the data count more than the prior, as with a weight of 1/λ for
        the Kullback–Leibler divergence in variational inference.
    temperature : float
        T, above 0; below 1 the posterior is 'cold'.
    x_pred : array (examples, …), optional
        Inputs whose predictions by each draw are stored in the posterior.
    seed : int
        Seed of all noise.

    Raises
    ------
    TypeError, ValueError
        For a regularizer of the evaluator (use a prior instead), and numbers that are not above 0.
    """

    changeable = False

    def __init__(
        self,
        model: Evaluator,
        *,
        prior: Any = 1.0,
        power: float = 1.0,
        temperature: float = 1.0,
        x_pred: Any = None,
        seed: int = 0,
    ) -> None:
        if not isinstance(model, Evaluator):
            raise TypeError(f"model={model!r}: expected an Evaluator, for example Evaluator(model, loss='mse')")
        if model.objective.regularizer is not None:
            raise ValueError(f"{model.objective.regularizer!r} is not part of a posterior: give a prior instead")
        self.model = model
        self.xp = model.xp
        self.prior = priors.checked(prior)
        self.priors: dict[str, Any] = {}
        self.power = check_number("power", power, positive=True)
        self.temperature = check_number("temperature", temperature, positive=True)
        self.x_pred = x_pred
        self.seed = check_integer("seed", seed, least=0)

    @property
    @abstractmethod
    def posterior(self) -> Posterior:
        """The posterior so far; ValueError before there is one."""

    def identity(self) -> dict[str, Any]:
        return {"method": type(self).__name__, **self.options(), **self.model.identity()}

    def options(self) -> dict[str, Any]:
        """Every option by value, the defaults too."""
        # their order matters: the first pattern that matches is used
        patterns = list(self.prior) if isinstance(self.prior, dict) else None
        return identity.options(self, patterns=patterns)

    def resolve_priors(self) -> None:
        """Find the prior of each parameter, of a model that is built; ValueError for one that has a penalty."""
        if self.model.model.penalized:
            raise ValueError(
                f"{self.model.model!r} adds a penalty of its own to the loss (regularizers, add_loss), which is not "
                "part of a posterior: remove it and give a prior instead"
            )
        self.priors = priors.resolve(self.prior, self.model.params)

    @property
    def target(self) -> Density:
        """The density of all parameters, of a model whose priors are resolved."""
        return Density(self.xp, self.priors, self.power, self.temperature)
