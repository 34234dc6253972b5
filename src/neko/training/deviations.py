"""Deviations of the gradients or weight changes of one learning rule from those of another."""

from __future__ import annotations

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

    ``cosine`` :math:`g·r / (‖g‖ ‖r‖)`; ``norm_ratio`` :math:`‖g‖ / ‖r‖`; ``relative`` :math:`‖g - r‖ / ‖r‖`;
    ``sign_agreement`` the share of entries with the same sign (zero is a sign of its own); ``bias`` and ``spread``
    the mean and standard deviation of :math:`(g - r) / r_{rms}`; ``histogram`` the counts of these between `EDGES`.
    Where r is zero, a ratio to it is NaN.
    """

    cosine: float
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
    norm, rms = np.linalg.norm(r), np.sqrt(np.mean(r * r))
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = (g - r) / rms
        return Deviation(
            float(g @ r / (np.linalg.norm(g) * norm)),
            float(np.linalg.norm(g) / norm),
            float(np.linalg.norm(g - r) / norm),
            float(np.mean(np.sign(g) == np.sign(r))),
            float(np.mean(scaled)),
            float(np.std(scaled)),
            np.histogram(np.clip(scaled, EDGES[0], EDGES[-1]), EDGES)[0],
        )


def is_readout(tensor: str) -> bool:
    """Whether a tensor, or `READOUT` itself, is of a network's readout."""
    return tensor == READOUT or tensor.removeprefix(BACKWARD.prefix).startswith("readout.")


def deviations(found: Changes, reference: Changes) -> dict[str, Deviation]:
    """A `Deviation` per tensor that both have, of all hidden ones together, and of the readout's together.

    The readout is separate: its gradient is the largest and the same for every rule in use, so that together with it
    any rule would resemble the reference. Of a user's module, whose readout is not known, every tensor is a hidden one
    unless it is named ``readout.…``.
    """
    names = sorted(found.keys() & reference.keys())
    result = {name: deviation(found[name], reference[name]) for name in names}
    for group, readout in ((HIDDEN, False), (READOUT, True)):
        own = [name for name in names if is_readout(name) == readout]
        if own:
            joined = [np.concatenate([side[name].ravel() for name in own]) for side in (found, reference)]
            result[group] = deviation(*joined)
    return result
