"""Deviations of the gradients or weight changes of one learning rule from those of another."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from neko.models.directions import BACKWARD

EDGES = np.linspace(-4.0, 4.0, 82)
"""Edges of the histograms, in units of the reference's root mean square; the outer bins include all values beyond."""
HIDDEN, READOUT = "all hidden", "all readout"
"""Names of all hidden tensors, and of all of the readout, together; no parameter's name has a space."""

Changes = dict[str, np.ndarray]


class Deviation(NamedTuple):
    r"""Deviation of values g, a gradient or a weight change, from the values r of a reference.

    ``cosine`` :math:`g·r / (‖g‖ ‖r‖)`; ``angle`` its angle in degrees; ``norm_ratio`` :math:`‖g‖ / ‖r‖`; ``relative``
    :math:`‖g - r‖ / ‖r‖`; ``sign_agreement`` the share of entries with the same sign (zero is a sign of its own);
    ``bias`` and ``spread`` the mean and standard deviation of :math:`(g - r) / r_{rms}`; ``histogram`` the counts of
    these between `EDGES`. Where r is zero, a ratio to it is NaN.
    """

    cosine: float
    angle: float
    norm_ratio: float
    relative: float
    sign_agreement: float
    bias: float
    spread: float
    histogram: np.ndarray


FIELDS = Deviation._fields[:-1]


def deviation(g: np.ndarray, r: np.ndarray) -> Deviation:
    """The `Deviation` of two arrays of equal shape, in double precision."""
    g, r = np.asarray(g, np.float64).ravel(), np.asarray(r, np.float64).ravel()
    away = g - r
    own, norm, far = (np.sqrt(a @ a) for a in (g, r, away))
    with np.errstate(divide="ignore", invalid="ignore"):
        rms = norm / math.sqrt(r.size)
        relative, bias, cosine = far / norm, np.mean(away) / rms, float(g @ r / (own * norm))
        return Deviation(
            cosine,
            angle(g, r, cosine),
            float(own / norm),
            float(relative),
            float(np.mean(np.sign(g) == np.sign(r))),
            float(bias),
            float(np.sqrt(np.maximum(relative * relative - bias * bias, 0.0))),
            counts(np.divide(away, rms, out=away)),
        )


def angle(g: np.ndarray, r: np.ndarray, cosine: float) -> float:
    """The angle of a cosine in degrees; near 0 and 180, where the arccosine is inaccurate, from the unit vectors."""
    if not abs(cosine) > 0.99:
        return math.degrees(math.acos(cosine))
    gap = np.linalg.norm(g / np.linalg.norm(g) - math.copysign(1.0, cosine) * (r / np.linalg.norm(r)))
    small = 2.0 * math.asin(min(1.0, 0.5 * float(gap)))
    return math.degrees(small if cosine > 0.0 else math.pi - small)


def counts(scaled: np.ndarray) -> np.ndarray:
    """The histogram between `EDGES`, of equal width; values that are not numbers are in none."""
    bins = len(EDGES) - 1
    place = (scaled - EDGES[0]) * (bins / (EDGES[-1] - EDGES[0]))
    np.clip(place, 0.0, bins - 0.5, out=place)  # in the last bin, its right edge included
    if np.isnan(place).any():
        place = place[~np.isnan(place)]
    return np.bincount(place.astype(np.intp), minlength=bins)


def is_readout(tensor: str) -> bool:
    """Whether a tensor, or `READOUT` itself, is of a network's readout."""
    return tensor == READOUT or tensor.removeprefix(BACKWARD.prefix).startswith("readout.")


def vectors(values: Changes) -> Changes:
    """The values as vectors in double precision: of every tensor, of all hidden ones together, and of the readout's.

    The readout is separate: its gradient is the largest and the same for every rule in use, so that together with it
    any rule would resemble the reference. Of a user's module, whose readout is not known, every tensor is a hidden one
    unless it is named ``readout.…``.
    """
    found = {name: np.asarray(values[name], np.float64).ravel() for name in sorted(values)}
    for group, readout in ((HIDDEN, False), (READOUT, True)):
        own = [found[name] for name in sorted(values) if is_readout(name) == readout]
        if own:
            found[group] = np.concatenate(own)
    return found


def deviations(found: Changes, reference: Changes) -> dict[str, Deviation]:
    """A `Deviation` per tensor that both have, and of the groups of `vectors`."""
    names = found.keys() & reference.keys()
    g, r = (vectors({name: side[name] for name in names}) for side in (found, reference))
    return {name: deviation(g[name], r[name]) for name in g}


def cosine(g: np.ndarray, r: np.ndarray) -> float:
    """The cosine of the angle between two vectors; NaN for a vector of zeros."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(g @ r / np.sqrt((g @ g) * (r @ r)))


def cosines(values: list[np.ndarray]) -> np.ndarray:
    """The cosines between all pairs of vectors, (rules, rules); NaN for a vector of zeros."""
    stacked = np.stack(values)
    products = stacked @ stacked.T
    norms = np.sqrt(np.diag(products))
    with np.errstate(divide="ignore", invalid="ignore"):
        return products / np.outer(norms, norms)
