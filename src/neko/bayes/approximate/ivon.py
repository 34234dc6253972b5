"""Improved variational online Newton."""

from __future__ import annotations

import dataclasses
from typing import Any

from neko.arguments import check_number, is_real
from neko.bayes.approximate.gaussian import FactorisedGaussian
from neko.bayes.approximate.newton import HESSIAN, VariationalNewton
from neko.bayes.inference import METHODS
from neko.bayes.priors import Normal
from neko.evaluator import Evaluator
from neko.identity.fingerprint import DataSet
from neko.models.network import Params
from neko.typing import Array


@METHODS.register("ivon")
class IVON(FactorisedGaussian):
    r"""Improved variational online Newton: independent normal weights, whose widths follow from curvature.

    It minimises the free energy of `MeanField` for normal priors by natural-gradient steps, at the cost of Adam. With
    the gradient :math:`\hat g` of a batch's loss at weights drawn from :math:`N(m, σ^2)`

    .. math::
        \hat h &= \hat g\, (θ - m) / σ^2 \\
        g &← β_1 g + (1 - β_1) \hat g \\
        h &← β_2 h + (1 - β_2) \hat h + \tfrac12 (1 - β_2)^2 (h - \hat h)^2 / (h + δ) \\
        m &← m - α \left( g / (1 - β_1^t) + δ m \right) / (h + δ) \\
        σ^2 &= T / (λ N (h + δ)), \qquad δ = 1 / (λ N s^2)

    with the standard deviation s of the prior. h estimates the diagonal of the mean Hessian of the loss, and h + δ
    stays above 0 by the quadratic term.

    Parameters
    ----------
    model : Evaluator
        Model and loss. The means start from its present parameters.
    learning_rate : float or callable
        α, or a schedule ``step -> rate``.
    hessian : float
        h at the start.
    beta1, beta2 : float
        Between 0 and 1. h forgets its start after some 1 / (1 - β_2) batches.
    clip_radius : float, optional
        Largest change of a mean in one step for α = 1.
    **options
        See `Approximation`, without ``optimizer`` and ``clip_norm``, and `Inference`.

    Raises
    ------
    TypeError
        For an optimizer or ``clip_norm``.
    ValueError
        For a prior that is not normal, and a drift that learns feedback weights.

    Notes
    -----
    **Limits.** Those of `MeanField`. That :math:`\hat h` estimates a Hessian holds for the gradient of a loss; with the
    surrogate gradients of a spiking network it is some measure of curvature.

    References
    ----------
    Shen et al. (2024), "Variational learning is effective for large deep networks", arXiv:2402.17641, algorithm 1; the
    quadratic term is from Lin, Schmidt & Khan (2020), arXiv:2002.10060.
    """

    width = HESSIAN

    def __init__(
        self,
        model: Evaluator,
        *,
        learning_rate: Any = 0.1,
        hessian: float = 0.1,
        beta1: float = 0.9,
        beta2: float = 0.999,
        clip_radius: float | None = None,
        **options: Any,
    ) -> None:
        for name in ("optimizer", "clip_norm"):
            if name in options:
                raise TypeError(f"{name}={options[name]!r}: IVON is its own update; it has clip_radius")
        self.hessian = check_number("hessian", hessian, positive=True)
        self.beta1, self.beta2 = fraction("beta1", beta1), fraction("beta2", beta2)
        self.clip_radius = None if clip_radius is None else check_number("clip_radius", clip_radius, positive=True)
        newton = VariationalNewton(model.xp, self.beta1, self.beta2, self.clip_radius)
        super().__init__(model, optimizer=newton, learning_rate=learning_rate, **options)
        learnt = self.drift.learnt_feedback()
        if learnt:
            raise ValueError(f"drift={self.drift.name!r} learns {learnt!r}, of which IVON has no distribution")
        self.decays: dict[str, float] = {}

    def begin(self, arrays: list[Any], found: DataSet) -> None:
        self.resolve_priors()
        for name, prior in self.priors.items():
            if type(prior) is not Normal:
                raise ValueError(f"prior of {name!r} is {prior!r}: IVON expects normal ones; use MeanField")
        self.decays = {name: self.priors[name].scale ** -2 / (self.power * self.examples) for name in self.priors}
        super().begin(arrays, found)

    def update(self) -> Any:
        return dataclasses.replace(self.optimizer, decays=self.decays)

    def initial_width(self, name: str, weight: Array) -> Array:
        return self.xp.zeros_like(weight) + self.hessian

    def deviation(self, name: str, width: Array) -> Array:
        size = self.power * self.examples / self.temperature
        return 1.0 / self.xp.sqrt(size * (width + self.decays[name]))

    def by_width(self, product: Array, scale: Array) -> Array:
        return product / scale

    def complexity(self, params: Params, key: Array) -> Params:
        return {}  # the update has the prior and the entropy


def fraction(name: str, value: Any) -> float:
    """A number as a float; ValueError unless it is between 0 and 1."""
    if not (is_real(value) and 0.0 < value < 1.0):
        raise ValueError(f"{name}={value!r}: expected a number between 0 and 1")
    return float(value)
