"""The density of the weights: the prior times a power of the likelihood, at a temperature."""

from __future__ import annotations

from dataclasses import dataclass

from neko.backend.protocol import Backend
from neko.bayes.priors import Prior
from neko.models.network import Params
from neko.typing import Array


@dataclass(frozen=True)
class Density:
    r""":math:`\log π(θ) = (λ \log L(θ) + \log p(θ)) / T`, up to a constant, of all or some parameters given the others.

    `priors` are by parameter, `power` is λ and `temperature` T.
    """

    xp: Backend
    priors: dict[str, Prior]
    power: float
    temperature: float

    def prior(self, position: Params) -> tuple[Array, Params]:
        """log p and its gradient."""
        found = {name: self.priors[name].logdensity_and_gradient(self.xp, w) for name, w in position.items()}
        return sum(value for value, _ in found.values()), {name: g for name, (_, g) in found.items()}

    def value(self, position: Params, likelihood: Array) -> Array:
        """log π from log L."""
        return self.of(likelihood, self.prior(position)[0])

    def with_gradient(self, position: Params, likelihood: Array, gradients: Params) -> tuple[Array, Params]:
        """log π and its gradient from log L and its gradient."""
        value, drift = self.prior(position)
        return self.of(likelihood, value), {name: self.of(gradients[name], g) for name, g in drift.items()}

    def of(self, likelihood: Array, prior: Array) -> Array:
        """From a number of the likelihood and one of the prior, logarithms or gradients."""
        if self.power == self.temperature == 1.0:  # a pass over all weights for each factor is a percent of a gradient
            return likelihood + prior
        return (self.power * likelihood + prior) / self.temperature
