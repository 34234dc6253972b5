"""The scale of a layer: what one unit of a potential is on the chip, chosen for weights and thresholds together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from neko.exchange.fixed_point.compartments import Weights
from neko.exchange.fixed_point.formats import ALIGN, EXPONENTS, spacing

OCTAVES, PARTS = 10, 16
"""Scales are tried over this many halvings, in this many equal factors each."""
NEAR = 1.01
"""Of the scales with an error within this factor of the least the largest is taken: its states are the finest."""


class Scaled(NamedTuple):
    """What 1 of each neuron's potential is on the chip, the weights, and their squared error in the network's units."""

    scales: np.ndarray
    weights: tuple[Weights, ...]
    error: float


def choose(
    tensors: Sequence[np.ndarray],
    bits: int,
    top: float,
    realised: Callable[[float], np.ndarray | None],
    holds: Callable[[tuple[Weights, ...]], bool],
) -> tuple[Scaled, bool]:
    """The scale with the least squared error of weights relative to thresholds, and whether `holds` is true of it.

    Thresholds are rounded first, to ``S_j`` for neuron j (`realised`, None below the resolution of thresholds), and
    weights then to ``S_j w``, so that they make up for the rounding of a threshold. Clipping the largest weights is
    allowed where the finer steps of the others are worth it.
    """
    found = []
    for k in range(OCTAVES * PARTS):
        scales = realised(top * 2.0 ** (-k / PARTS))
        if scales is None:
            break
        made = tuple(rounded(w * scales, bits) for w in tensors)
        errors = (np.square(value(m) / scales - w).sum() for m, w in zip(made, tensors, strict=True))
        found.append(Scaled(scales, made, float(sum(errors))))
    fitting = [one for one in found if holds(one.weights)]
    least = min(one.error for one in fitting or found)
    return next(one for one in fitting or found if one.error <= NEAR * least), bool(fitting)


def rounded(w: np.ndarray, bits: int) -> Weights:
    """The nearest weights of the chip, by the exponent with the least squared error."""
    most = float(np.abs(w).max())
    largest = (1 << (bits - 1)) * spacing(bits) * 2.0**ALIGN
    fitting = [e for e in EXPONENTS if most <= largest * 2.0**e] or [EXPONENTS[-1]]
    made = []
    for exponent in {max(fitting[0] - 1, 0), fitting[0]}:
        step = spacing(bits) * 2.0 ** (ALIGN + exponent)
        codes = np.clip(np.rint(w / step), -(1 << (bits - 1)), (1 << (bits - 1)) - 1)
        made.append(Weights((codes * spacing(bits)).astype(np.int64), exponent))
    return min(made, key=lambda one: float(np.square(value(one) - w).sum()))


def value(weights: Weights) -> np.ndarray:
    """What weights add to a current."""
    return weights.mantissas * 2.0 ** (weights.exponent + ALIGN)
