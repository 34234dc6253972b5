"""Ben's spiker algorithm (BSA)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neko.encoders.base import ENCODERS
from neko.encoders.filters import ROUNDING, FilterEncoder, check_part


@ENCODERS.register("bsa", source="Schrauwen and Van Campenhout (2003), doi:10.1109/IJCNN.2003.1224019")
@dataclass(frozen=True)
class BSA(FilterEncoder):
    r"""A spike where taking the filter off the signal makes what is left smaller.

    .. math::
        s_t = 1 \text{ if } \sum_k |r_{t+k} - h_k| \leq \sum_k |r_{t+k}| - θ \sum_k |h_k|,
        \qquad r_{t+k} \leftarrow r_{t+k} - s_t h_k

    from r = v on, for k = 0 … L − 1 as far as there are samples. The threshold is subtracted, as published; some codes
    multiply by it. The published one is θ Σ|h|, which is θ for the default filter; that it shrinks with the part of the
    filter that lies on the signal is added, so that every sample can spike. A signal at `low` is silent; a constant of
    at least the largest tap spikes, sample 0 included, at a density of about v / Σh; a signal of one sample spikes if
    :math:`v_0 \geq h_0 (1 + θ) / 2`.

    Parameters
    ----------
    threshold : float
        θ from 0 to 1, as a part of the area of the filter.
    length, taps
        As in `FilterEncoder`; the filter may be negative in places.
    low, high : float
        As in `RangedEncoder`.

    Notes
    -----
    Every spike makes Σ|r| smaller by at least the threshold, so that the error of `decode`, summed over a signal in the
    range, is at most :math:`\sum_t |v_t - \hat v_t| \leq \sum_t (v_t - θ s_t H_t)`, where :math:`H_t` is the area of
    the filter at t as far as there are samples. While nothing left is negative, it spikes where `ModifiedHough` does
    with the threshold (1 − θ) / 2. Lost is what is shorter than the filter, such as steps, and the first
    samples, which the filter of no earlier spike reaches; and what lies outside the range.

    References
    ----------
    Schrauwen and Van Campenhout (2003), doi:10.1109/IJCNN.2003.1224019.

    Examples
    --------
    >>> code = BSA(taps=(0.5, 0.25))
    >>> code.encode([0.5, 0.5, 0.25, 0.0]).tolist()
    [1.0, 0.0, 0.0, 0.0]
    >>> code.decode([1.0, 0.0, 0.0, 0.0]).tolist()
    [0.5, 0.25, 0.0, 0.0]
    """

    threshold: float = 0.6

    def __post_init__(self) -> None:
        super().__post_init__()
        check_part(self.threshold)

    @classmethod
    def space(cls, x: np.ndarray) -> dict[str, Sequence[Any]]:
        return super().space(x) | {"threshold": [0.0, 0.1, 0.2, 0.4, 0.6, 0.8]}

    def fits(self, rest: np.ndarray, h: np.ndarray) -> np.ndarray:
        gain = (np.abs(rest) - np.abs(rest - h)).sum(axis=-1)
        return gain >= self.threshold * np.abs(h).sum() - ROUNDING
