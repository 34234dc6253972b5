"""Surrogate gradients: a step function in the forward pass, a bounded function ψ as its derivative."""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import numpy as np

from neko.backend.protocol import Backend
from neko.cells.constants import not_negative, positive, settle
from neko.registry import Registry
from neko.typing import Array

SURROGATES: Registry[type[Surrogate]] = Registry("surrogate", "neko.cells.surrogates")
"""Surrogates by name."""


@dataclass(frozen=True)
class Surrogate(ABC):
    r"""A spike ``z = 1[u > 0]`` whose derivative is taken to be ``ψ(u)``.

    The value is ``z + ψ(u) (u - u)``, in which only one ``u`` is differentiated. It equals *z* exactly, and its
    derivative is ψ in forward and in reverse mode on every framework, without a custom derivative. *u* is the distance
    from threshold in units of the threshold.
    """

    @abstractmethod
    def derivative(self, xp: Backend, u: Array) -> Array:
        """ψ(u), of the shape of `u`."""

    def __call__(self, xp: Backend, u: Array) -> Array:
        z = xp.astype(u > 0.0, xp.dtype)
        if not xp.differentiable:
            return z
        held = xp.stop_gradient(u)
        return z + self.derivative(xp, held) * (u - held)


@dataclass(frozen=True)
class Scaled(Surrogate):
    """A surrogate with a dampening factor γ; all parameters are at least 0, those in `positive` above 0."""

    gamma: float = 1.0

    positive: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for parameter in fields(self):
            settle(self, None, positive if parameter.name in self.positive else not_negative, parameter.name)


@SURROGATES.register("triangular")
@dataclass(frozen=True)
class Triangular(Scaled):
    """``ψ(u) = γ max(0, 1 - |u|)`` with dampening factor γ (Bellec et al. 2018, 2020)."""

    gamma: float = 0.3

    def derivative(self, xp: Backend, u: Array) -> Array:
        return xp.maximum(self.gamma - self.gamma * xp.abs(u), 0.0)


@SURROGATES.register("boxcar")
@dataclass(frozen=True)
class Boxcar(Scaled):
    """``ψ(u) = γ / w`` for ``|u| < w / 2``, else 0 (Kaiser et al. 2020)."""

    width: float = 1.0

    positive = ("width",)

    def derivative(self, xp: Backend, u: Array) -> Array:
        return xp.astype(xp.abs(u) < 0.5 * self.width, xp.dtype) * (self.gamma / self.width)


@SURROGATES.register("fast_sigmoid")
@dataclass(frozen=True)
class FastSigmoid(Scaled):
    """``ψ(u) = γ / (1 + s |u|)²`` with slope s (Zenke & Ganguli 2018)."""

    slope: float = 10.0

    def derivative(self, xp: Backend, u: Array) -> Array:
        return self.gamma / xp.square(1.0 + self.slope * xp.abs(u))


@SURROGATES.register("arctan")
@dataclass(frozen=True)
class Arctan(Scaled):
    """``ψ(u) = γ (α/2) / (1 + (π α u / 2)²)`` (Fang et al. 2021)."""

    alpha: float = 2.0

    positive = ("alpha",)

    def derivative(self, xp: Backend, u: Array) -> Array:
        return (0.5 * self.gamma * self.alpha) / (1.0 + xp.square((0.5 * math.pi * self.alpha) * u))


@SURROGATES.register("gaussian")
@dataclass(frozen=True)
class Gaussian(Scaled):
    """``ψ(u) = γ N(u; 0, σ²)`` (Yin et al. 2020)."""

    gamma: float = 0.5
    sigma: float = 0.5

    positive = ("sigma",)

    def derivative(self, xp: Backend, u: Array) -> Array:
        return self.gamma * normal_density(xp, u, 0.0, self.sigma)


@SURROGATES.register("multi_gaussian")
@dataclass(frozen=True)
class MultiGaussian(Scaled):
    """``ψ(u) = γ [(1+h) N(u; 0, σ²) - h N(u; σ, (sσ)²) - h N(u; -σ, (sσ)²)]`` (Yin et al. 2021)."""

    gamma: float = 0.5
    sigma: float = 0.5
    height: float = 0.15
    scale: float = 6.0

    positive = ("sigma", "scale")

    def derivative(self, xp: Backend, u: Array) -> Array:
        wide = self.scale * self.sigma
        centre = (1.0 + self.height) * normal_density(xp, u, 0.0, self.sigma)
        sides = normal_density(xp, u, self.sigma, wide) + normal_density(xp, u, -self.sigma, wide)
        return self.gamma * (centre - self.height * sides)


@dataclass(frozen=True)
class Given(Surrogate):
    """ψ as a user's function, ``f(xp, u)`` or ``f(u)``; neurons spike as with any other surrogate.

    Parameters
    ----------
    function : callable
        From the distance to threshold `u` (batch, n) to ψ(u), of the same shape and precision.
    """

    function: Callable[..., Any]
    takes_backend: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "takes_backend", required_arguments(self.function) == 2)

    def derivative(self, xp: Backend, u: Array) -> Array:
        psi = self.function(xp, u) if self.takes_backend else self.function(u)
        if not hasattr(psi, "shape") or (tuple(psi.shape), psi.dtype) != (tuple(u.shape), u.dtype):
            found = f"an array {tuple(psi.shape)!r} of {psi.dtype}" if hasattr(psi, "shape") else type(psi).__name__
            raise ValueError(
                f"surrogate={self.function!r} gives {found}: expected the derivative ψ(u) for every entry of u, "
                f"{tuple(u.shape)!r} of {u.dtype}"
            )
        return psi


def required_arguments(function: Callable[..., Any]) -> int:
    """The number of required arguments: 1 for ``f(u)``, 2 for ``f(xp, u)``; TypeError for any other."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return 1  # a built-in such as torch.sigmoid
    required = [p for p in signature.parameters.values() if p.default is p.empty and p.kind != p.VAR_KEYWORD]
    if len(required) not in (1, 2) or any(p.kind not in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in required):
        raise TypeError(
            f"surrogate={function!r} takes {signature}: expected a function of u, or of a backend and u, that gives "
            "the derivative ψ(u)"
        )
    return len(required)


def normal_density(xp: Backend, u: Array, mean: float, sigma: float) -> Array:
    """Density of N(mean, sigma²) at `u`."""
    scaled = (u - mean) * (1.0 / sigma)
    return xp.exp(-0.5 * xp.square(scaled)) * (1.0 / (sigma * math.sqrt(2.0 * math.pi)))


def resolve(surrogate: Any) -> Surrogate:
    """A surrogate from a name, with its default parameters, or from a function, which is the derivative ψ.

    ValueError for an unknown name, TypeError for anything else, including a class of surrogates.
    """
    if isinstance(surrogate, Surrogate):
        return surrogate
    if isinstance(surrogate, str):
        return SURROGATES.get(surrogate)()
    if isinstance(surrogate, type) or not callable(surrogate):
        raise TypeError(
            f"surrogate={surrogate!r}: expected one of neko.cells.surrogates, such as Triangular(), a name of "
            f"{sorted(SURROGATES)}, or a function of u, or of a backend and u, that gives the derivative ψ(u)"
        )
    return Given(surrogate)


def check_derivative(xp: Backend, surrogate: Any) -> None:
    """ValueError for a user's function that is not finite on this backend, or gives the spike instead of ψ."""
    if not isinstance(surrogate, Given):
        return
    u = np.array([[-1.5, -0.6, -0.1, 0.1, 0.6, 1.5]])
    with xp.scope():
        psi = np.asarray(xp.to_numpy(surrogate.derivative(xp, xp.asarray(u))))
    if not np.isfinite(psi).all() or np.array_equal(psi, u > 0.0):
        raise ValueError(
            f"surrogate={surrogate.function!r} gives {psi[0].tolist()!r} at u = {u[0].tolist()!r}: expected the "
            "derivative ψ(u), a bump about 0, and not the spike"
        )
