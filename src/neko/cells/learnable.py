"""Constants that learn: the map from a trainable parameter to a constant in its range."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import numpy as np

from neko.backend.protocol import Backend
from neko.cells.values import numbers, shown
from neko.typing import Array

LIMIT = 20.0
"""Largest |θ| of an exponential map: the constant stays within a factor of exp(20) of its first value."""


@dataclass(frozen=True, repr=False)
class Learnable:
    r"""A constant of a cell that rules train: ``ALIF(100, tau_m=Learnable(20.0))``.

    The parameter of the model is θ, named ``layers.<i>.constants.<name>``, which is 0 at first and may take any value.
    The cell uses the constant *c*, a function of θ and of the first value *c*\ :sub:`0` that stays in the range which
    the cell allows:

    ================== ============================================== =====================
    range              map                                            used by
    ================== ============================================== =====================
    above 0            ``c = c_0 exp(θ)``, \|θ\| limited to 20        ``tau_m``, ``v_th``
    at least 0         ``c = softplus(θ + softplus⁻¹(c_0))``          ``beta``
    any finite value   ``c = c_0 + θ``                                a user's field
    `low` to `high`    ``c = low + (high - low) σ(θ + σ⁻¹(…))``       where these are given
    ================== ============================================== =====================

    Steps of an optimizer, decays of weights, priors and devices act on θ: a decay pulls a constant to its first value,
    and a prior Normal(s) on a time constant is log-normal about it.

    Parameters
    ----------
    value : float or sequence (n,)
        The first value: one number, which the neurons of a layer share, or one per neuron.
    per_neuron : bool
        Let every neuron learn its own, from the same first value.
    spread : float, optional
        Let every neuron learn its own, from first values that are spaced by equal factors between ``value / spread``
        and ``value * spread``. Time constants with one first value tend to shrink together in training.
    low, high : float, optional
        The ends of a narrower range, both or neither; the first value lies between them.

    Raises
    ------
    ValueError
        For a value that is not finite or not between `low` and `high`, or a spread that is not above 1.

    Notes
    -----
    The state before the first step is that of the first values, and does not learn. A constant that sets a number of
    steps (`t_ref`, `dt`) has no derivative and cannot learn.

    Examples
    --------
    >>> import neko
    >>> model = neko.ALIF(8, 2, "torch", tau_m=Learnable(20.0, spread=4.0), beta=Learnable(0.2)).build(3)
    >>> {name: values.shape for name, values in model.constants.items()}
    {'layers.0.tau_m': (8,), 'layers.0.beta': (1,)}
    """

    value: Any
    _: KW_ONLY
    per_neuron: bool = False
    spread: float | None = None
    low: float | None = None
    high: float | None = None
    map: str = field(default="sum", init=False)

    def __post_init__(self) -> None:
        entries, single = numbers(self.value)
        if not entries or not all(map(math.isfinite, entries)):
            raise ValueError(f"Learnable({self.value!r}): expected a finite first value, one number or one per neuron")
        self._set(value=entries[0] if single else entries, per_neuron=bool(self.per_neuron or not single))
        if self.spread is not None:
            if not numbers(self.spread)[1] or not 1.0 < self.spread < math.inf or not single or not entries[0]:
                raise ValueError(
                    f"Learnable({self.value!r}, spread={self.spread!r}): expected a factor above 1, and one first "
                    "value other than 0"
                )
            self._set(per_neuron=True)
        if (self.low, self.high) != (None, None):
            ends = numbers([self.low, self.high])[0]
            if not ends or not all(math.isfinite(end) for end in ends):
                raise ValueError(f"low={self.low!r}, high={self.high!r}: expected two finite numbers, or neither")
            self._set(low=ends[0], high=ends[1])

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        given = [shown(self.value)]
        for name in ("per_neuron", "spread", "low", "high"):
            value = getattr(self, name)
            if value not in (None, False) and not (name == "per_neuron" and (self.spread or not self.single)):
                given.append(f"{name}={value!r}")
        return f"Learnable({', '.join(given)})"

    @property
    def single(self) -> bool:
        """Whether there is one first value."""
        return isinstance(self.value, float)

    @property
    def bounds(self) -> tuple[float, ...]:
        """`low` and `high`, if they are given."""
        return () if self.low is None or self.high is None else (self.low, self.high)

    def shape(self, units: int) -> tuple[int]:
        """The shape of θ."""
        return (units if self.per_neuron else 1,)

    def placed(self, units: int, map: str) -> Learnable:
        """This constant in a layer of `units` neurons, by the map of the range that its cell allows."""
        placed = copy.copy(self)
        if self.spread is not None:
            ends = (self.value / self.spread, self.value * self.spread)
            placed._set(value=tuple(float(v) for v in np.geomspace(*ends, units)), spread=None)
        placed._set(map="sigmoid" if self.bounds else map)
        entries = placed.value if isinstance(placed.value, tuple) else (placed.value,)
        if self.bounds and not all(self.bounds[0] < v < self.bounds[1] for v in entries):
            raise ValueError(f"{self!r}: expected low < value < high")
        if placed.map == "softplus" and not all(entries):
            raise ValueError(f"{self!r}: expected first values above 0, from which a constant can move either way")
        return placed

    def at(self, xp: Backend, theta: Array) -> Array:
        """The constant for a parameter θ, of its shape or that of the first values."""
        if self.map == "exp":
            return xp.exp(xp.clip(theta, -LIMIT, LIMIT)) * xp.asarray(self.value, dtype=xp.dtype)
        start = np.asarray(self.value)
        if self.map == "softplus":
            return xp.softplus(theta + xp.asarray(start + np.log(-np.expm1(-start)), dtype=xp.dtype))
        if self.map == "sigmoid":
            low, high = self.bounds
            share = xp.sigmoid(theta + xp.asarray(np.log(start - low) - np.log(high - start), dtype=xp.dtype))
            return low * (1.0 - share) + high * share
        return theta + xp.asarray(start, dtype=xp.dtype)


def learnt(cell: Any) -> dict[str, Learnable]:
    """The constants of a cell that learn, by name, in the order of its fields."""
    named = ((f.name, getattr(cell, f.name)) for f in dataclasses.fields(cell))
    return {name: value for name, value in named if isinstance(value, Learnable)}


def bound(xp: Backend, cell: Any, parameters: Sequence[Array]) -> Any:
    """A copy of a cell with the constants for these parameters, arrays (n,) or of a larger shape of each parameter."""
    found = learnt(cell)
    if not found:
        return cell
    copied = copy.copy(cell)
    for (name, constant), theta in zip(found.items(), parameters, strict=True):
        full = xp.broadcast_to(theta, (cell.units,)) if len(theta.shape) == 1 else theta
        object.__setattr__(copied, name, constant.at(xp, full))
    return copied
