"""Mean-field variational inference."""

from __future__ import annotations

import math
from typing import Any

from neko.arguments import check_number
from neko.backend.protocol import Backend
from neko.bayes.approximate.distributed import MEAN
from neko.bayes.approximate.gaussian import FactorisedGaussian, drawn
from neko.bayes.approximate.local import LocalReparametrisation, refusal
from neko.bayes.inference import METHODS
from neko.bayes.priors import Laplace, Normal, Prior, by_pattern
from neko.evaluator import Evaluator
from neko.identity.fingerprint import DataSet
from neko.models.network import Params
from neko.rules.base import GradientRule
from neko.rules.exact.bptt import BPTT
from neko.typing import Array


@METHODS.register("mean_field")
class MeanField(FactorisedGaussian):
    r"""Mean-field variational inference: independent normal weights with the least free energy, by gradient descent.

    .. math::
        F(q) = E_q[\bar E(θ)] + \frac{1}{λ N} \left( E_q[-\log p(θ)] - T \sum_i \log σ_i \right)

    up to a constant; for T = 1 this is the expected loss plus the Kullback–Leibler divergence from the prior with the
    weight 1/λN. The parameters are m and log σ. Of a normal or Laplace prior the second term is in closed form, of
    another one it is estimated from the same draw as the loss.

    The expected loss has two estimators. *Weight draws*: one draw of all weights for each batch, and any drift, with
    its surrogate gradients, on any network (see `neko.bayes.approximate.gaussian.Drawn`). *Local reparametrisation*:
    of one layer of LIF neurons in a single step the probability of each spike is known, so that no surrogate is needed
    and every example has noise of its own (see `neko.bayes.approximate.local.LocalReparametrisation`).

    Parameters
    ----------
    model : Evaluator
        Model and loss.
    initial_scale : float or dict, optional
        σ at the start: one of all weights, or by name or pattern, as for `prior`. By default 0.02; with local
        reparametrisation, which does well with more noise, :math:`0.45 / \sqrt{n_{in}}` of input weights and 0.1
        of the others.
    initial_factor : float or dict
        Factor of the model's present weights at which the means start, likewise.
    local : bool, optional
        Whether to use local reparametrisation; by default where it is defined and the drift is BPTT.
    **options
        See `Approximation`: ``drift``, ``chains``, ``draws``, ``optimizer``, ``learning_rate``, … and `Inference`:
        ``prior``, ``power``, ``temperature``, ``x_pred``, ``seed``.

    Raises
    ------
    ValueError
        For ``local=True`` with another drift than BPTT and, in the first epoch, where it is not defined, with the
        reason.

    Notes
    -----
    **Limits.** Weights are independent in q: it is narrower than the posterior where weights are correlated (on a
    normal posterior with the precision matrix Λ, σ² is :math:`1/Λ_{ii}` and not :math:`(Λ^{-1})_{ii}`), and it covers
    one of the many equivalent optima that permutations of neurons give. ``chains`` trains several.

    **Practice.** On MNIST-1D the hidden layer learnt the best features where the readout starts near zero and its σ at
    0.1, input weights and v_th are small, so that a step of the optimizer changes them much, and neurons have a bias
    (or a constant input). λ of 10 to 30 suited some thousand examples; where outputs are underconfident raise it.

    References
    ----------
    Hinton & van Camp (1993), doi:10.1145/168304.168306; Graves (2011), NIPS; Blundell et al. (2015), arXiv:1505.05424.
    """

    width = ".log_scale"

    def __init__(
        self,
        model: Evaluator,
        *,
        initial_scale: Any = None,
        initial_factor: Any = 1.0,
        local: bool | None = None,
        **options: Any,
    ) -> None:
        super().__init__(model, **options)
        self.initial_scale, self.initial_factor = initial_scale, initial_factor
        for scale in {} if initial_scale is None else named(initial_scale).values():
            check_number("initial_scale", scale, positive=True)
        for factor in named(initial_factor).values():
            check_number("initial_factor", factor)
        if local is not None and not isinstance(local, bool):
            raise TypeError(f"local={local!r}: expected True, False or None")
        self.local = local
        if local and not isinstance(self.drift, BPTT):
            raise ValueError(f"local=True: there is nothing to do for drift={self.drift.name!r}; leave one of them out")
        self._local = False

    def begin(self, arrays: list[Any], found: DataSet) -> None:
        if self.local is not False and isinstance(self.drift, BPTT):
            reason = refusal(self.model.model, {(self.model.model.shape(x) or (0, 1))[1] for x, *_ in arrays})
            if self.local and reason:
                raise ValueError(f"local=True: {reason}; leave it out, for draws of the weights")
            self._local = reason is None
        super().begin(arrays, found)

    def expected_loss(self, model: Evaluator, key: Array) -> GradientRule:
        return LocalReparametrisation(model, self, key) if self._local else super().expected_loss(model, key)

    def evaluator(self, weights: Params) -> Evaluator:
        factors = by_pattern("initial_factor", named(self.initial_factor), weights)
        with self.xp.scope():
            return super().evaluator({name: factors[name] * w for name, w in weights.items()})

    def initial_width(self, name: str, weight: Array) -> Array:
        return self.xp.zeros_like(weight) + math.log(self.first_scale(name, weight))

    def first_scale(self, name: str, weight: Array) -> float:
        """σ of a weight at the start."""
        if self.initial_scale is not None:
            return float(by_pattern("initial_scale", named(self.initial_scale), self.priors)[name])
        if not self._local:
            return 0.02
        return 0.45 / math.sqrt(weight.shape[0]) if name.endswith(".w_in") else 0.1

    def deviation(self, name: str, width: Array) -> Array:
        return self.xp.exp(width)

    def by_width(self, product: Array, scale: Array) -> Array:
        return product * scale

    def complexity(self, params: Params, key: Array) -> Params:
        xp, spread, found = self.xp, self.spread(params), {}
        known = {name: expected(xp, self.priors[name], *pair) for name, pair in spread.items()}
        weights, noise = drawn(xp, spread, key) if None in known.values() else ({}, {})
        for name, (_, scale) in spread.items():
            derivatives = known[name]
            if derivatives is None:
                slope = -self.priors[name].logdensity_and_gradient(xp, weights[name])[1]
                derivatives = slope, slope * noise[name]
            found[name + MEAN] = derivatives[0]
            found[name + self.width] = scale * derivatives[1] - self.temperature
        return found


def named(value: Any) -> dict[str, Any]:
    """Numbers by name or pattern, from these or one of all weights."""
    return value if isinstance(value, dict) else {"*": value}


def expected(xp: Backend, prior: Prior, mean: Array, scale: Array) -> tuple[Array, Array] | None:
    """The derivatives of ``E[-log p(w)]`` of normal w by their means and standard deviations; None where they are not
    known."""
    if type(prior) is Normal:
        precision = prior.scale**-2
        return precision * mean, precision * scale
    if type(prior) is Laplace:
        ratio = mean / (math.sqrt(2.0) * scale)
        return xp.erf(ratio) / prior.scale, math.sqrt(2.0 / math.pi) / prior.scale * xp.exp(-xp.square(ratio))
    return None
