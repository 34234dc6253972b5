"""Hough's spiker algorithm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neko.encoders.base import ENCODERS
from neko.encoders.filters import ROUNDING, FilterEncoder


@ENCODERS.register("hough", source="Hough et al. (1999), International Conference on Robotics and Artificial Life")
@dataclass(frozen=True)
class Hough(FilterEncoder):
    r"""A spike where what is left of the signal lies above the whole filter.

    .. math::
        s_t = 1 \text{ if } r_{t+k} \geq h_k \text{ for all k}, \qquad r_{t+k} \leftarrow r_{t+k} - s_t h_k

    from r = v on, for k = 0 … L − 1 as far as there are samples; codes that ask for all L taps there leave the last
    L − 1 samples silent. A signal at `low` is silent, and so is a constant below the largest tap until the end comes
    near; a higher one spikes, sample 0 included. A signal of one sample spikes if :math:`v_0 \geq h_0`.

    Parameters
    ----------
    length, taps
        As in `FilterEncoder`; every tap must be above 0.
    low, high : float
        As in `RangedEncoder`.

    Notes
    -----
    What is left is never negative, so that `decode` is nowhere above a signal in the range, nor below `low`:
    :math:`0 \leq \hat v_t \leq v_t`. Lost is all in which the filter does not fit, one sample below it is enough: the
    reconstruction lies too low. A signal that `decode` made comes back spike by spike.

    References
    ----------
    Hough, de Garis, Korkin, Gers and Nawa (1999), SPIKER: analog waveform to digital spiketrain conversion in ATR's
    artificial brain (CAM-Brain) project; as given by Schrauwen and Van Campenhout (2003),
    doi:10.1109/IJCNN.2003.1224019.

    Examples
    --------
    >>> code = Hough(taps=(0.5, 0.25))
    >>> code.encode([0.5, 0.75, 0.25, 0.0]).tolist()
    [1.0, 1.0, 0.0, 0.0]
    >>> code.decode([1.0, 1.0, 0.0, 0.0]).tolist()
    [0.5, 0.75, 0.25, 0.0]
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_positive()

    def fits(self, rest: np.ndarray, h: np.ndarray) -> np.ndarray:
        return np.asarray((rest >= h - ROUNDING).all(axis=-1))
