"""Surrogate gradients: a step function forward, a smooth bump backward."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from neko.typing import Array


@dataclass(frozen=True)
class Surrogate(ABC):
    r"""A spike ``z = 1[u > 0]`` whose derivative is taken to be ``ψ(u)``.

    The value is ``z + ψ(u) (u - u)`` with all but one ``u`` held constant. It equals *z* exactly, and its
    derivative is ψ in forward and in reverse mode on every framework, without a custom
    derivative. *u* is the distance from threshold in units of the threshold.
    """

    @abstractmethod
    def derivative(self, xp: Any, u: Array) -> Array:
        """ψ(u), of the shape of `u`."""

    def __call__(self, xp: Any, u: Array) -> Array:
        z = xp.astype(u > 0.0, xp.dtype)
        if not xp.differentiable:
            return z
        held = xp.stop_gradient(u)
        return z + self.derivative(xp, held) * (u - held)


@dataclass(frozen=True)
class Triangular(Surrogate):
    """``ψ(u) = γ max(0, 1 - |u|)`` with dampening factor γ (Bellec et al. 2018, 2020)."""

    gamma: float = 0.3

    def derivative(self, xp: Any, u: Array) -> Array:
        return xp.maximum(self.gamma - self.gamma * xp.abs(u), 0.0)


@dataclass(frozen=True)
class Boxcar(Surrogate):
    """``ψ(u) = γ / w`` for ``|u| < w / 2``, else 0 (Kaiser et al. 2020)."""

    gamma: float = 1.0
    width: float = 1.0

    def derivative(self, xp: Any, u: Array) -> Array:
        return xp.astype(xp.abs(u) < 0.5 * self.width, xp.dtype) * (self.gamma / self.width)


@dataclass(frozen=True)
class FastSigmoid(Surrogate):
    """``ψ(u) = γ / (1 + s |u|)²`` with slope s (Zenke & Ganguli 2018)."""

    gamma: float = 1.0
    slope: float = 10.0

    def derivative(self, xp: Any, u: Array) -> Array:
        return self.gamma / xp.square(1.0 + self.slope * xp.abs(u))


@dataclass(frozen=True)
class Arctan(Surrogate):
    """``ψ(u) = γ (α/2) / (1 + (π α u / 2)²)`` (Fang et al. 2021)."""

    gamma: float = 1.0
    alpha: float = 2.0

    def derivative(self, xp: Any, u: Array) -> Array:
        return (0.5 * self.gamma * self.alpha) / (1.0 + xp.square((0.5 * math.pi * self.alpha) * u))


@dataclass(frozen=True)
class Gaussian(Surrogate):
    """``ψ(u) = γ N(u; 0, σ²)`` (Yin et al. 2020)."""

    gamma: float = 0.5
    sigma: float = 0.5

    def derivative(self, xp: Any, u: Array) -> Array:
        return self.gamma * normal_density(xp, u, 0.0, self.sigma)


@dataclass(frozen=True)
class MultiGaussian(Surrogate):
    """``ψ(u) = γ [(1+h) N(u; 0, σ²) - h N(u; σ, (sσ)²) - h N(u; -σ, (sσ)²)]`` (Yin et al. 2021)."""

    gamma: float = 0.5
    sigma: float = 0.5
    height: float = 0.15
    scale: float = 6.0

    def derivative(self, xp: Any, u: Array) -> Array:
        wide = self.scale * self.sigma
        centre = (1.0 + self.height) * normal_density(xp, u, 0.0, self.sigma)
        sides = normal_density(xp, u, self.sigma, wide) + normal_density(xp, u, -self.sigma, wide)
        return self.gamma * (centre - self.height * sides)


def normal_density(xp: Any, u: Array, mean: float, sigma: float) -> Array:
    """Density of N(mean, sigma²) at `u`."""
    scaled = (u - mean) * (1.0 / sigma)
    return xp.exp(-0.5 * xp.square(scaled)) * (1.0 / (sigma * math.sqrt(2.0 * math.pi)))


SURROGATES: dict[str, type[Surrogate]] = {
    "triangular": Triangular,
    "boxcar": Boxcar,
    "fast_sigmoid": FastSigmoid,
    "arctan": Arctan,
    "gaussian": Gaussian,
    "multi_gaussian": MultiGaussian,
}


def resolve(surrogate: str | Surrogate) -> Surrogate:
    """The surrogate of a name with its default parameters; a surrogate object is returned as it is."""
    if isinstance(surrogate, Surrogate):
        return surrogate
    if surrogate not in SURROGATES:
        raise ValueError(f"surrogate={surrogate!r}: expected one of {sorted(SURROGATES)} or a Surrogate object")
    return SURROGATES[surrogate]()
