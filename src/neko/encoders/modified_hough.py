"""The modified spiker algorithm of Hough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neko.encoders.base import ENCODERS
from neko.encoders.filters import ROUNDING, FilterEncoder, check_part


@ENCODERS.register("modified_hough", source="Schrauwen and Van Campenhout (2003), doi:10.1109/IJCNN.2003.1224019")
@dataclass(frozen=True)
class ModifiedHough(FilterEncoder):
    r"""A spike where what is left of the signal lies above the filter but for a small area.

    .. math::
        s_t = 1 \text{ if } \sum_k \max(0, h_k - r_{t+k}) \leq θ \sum_k h_k,
        \qquad r_{t+k} \leftarrow r_{t+k} - s_t h_k

    from r = v on, for k = 0 … L − 1 as far as there are samples. The published threshold is θ Σh, which is θ for the
    default filter; that it shrinks with the part of the filter that lies on the signal is added, without which the last
    samples spike in silence. With θ = 0 it is `Hough`. A signal at `low` is silent; a constant of at least the largest
    tap spikes, sample 0 included; a signal of one sample spikes if :math:`v_0 \geq h_0 (1 - θ)`.

    Parameters
    ----------
    threshold : float
        θ, at least 0 and below 1, as a part of the area of the filter.
    length, taps
        As in `FilterEncoder`; every tap must be above 0.
    low, high : float
        As in `RangedEncoder`.

    Notes
    -----
    No spike leaves less than −θ Σh anywhere, so that for a signal in the range :math:`0 \leq \hat v_t \leq v_t + θ
    \sum_k h_k`. Lost is what the filter does not fit into.

    References
    ----------
    Schrauwen and Van Campenhout (2003), doi:10.1109/IJCNN.2003.1224019.

    Examples
    --------
    >>> code = ModifiedHough(0.2, taps=(0.5, 0.25))
    >>> code.encode([0.375, 0.25, 0.0]).tolist()
    [1.0, 0.0, 0.0]
    """

    threshold: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_positive()
        check_part(self.threshold)

    @classmethod
    def space(cls, x: np.ndarray) -> dict[str, Sequence[Any]]:
        return super().space(x) | {"threshold": [0.0, 0.02, 0.05, 0.1, 0.2, 0.3]}

    def fits(self, rest: np.ndarray, h: np.ndarray) -> np.ndarray:
        missing = np.maximum(h - rest, 0.0).sum(axis=-1)
        return missing <= self.threshold * h.sum() + ROUNDING
