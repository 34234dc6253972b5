"""Temporal contrast, also called threshold-based representation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neko.arguments import check_number
from neko.encoders.base import ENCODERS, checked
from neko.encoders.signed import SignedEncoder, beyond, changes


@ENCODERS.register("temporal_contrast", source="Sengupta and Kasabov (2017), doi:10.1016/j.ins.2017.04.017")
@dataclass(frozen=True)
class TemporalContrast(SignedEncoder):
    r"""A spike where the signal changes from one sample to the next by more than is usual for it.

    .. math::
        s_t = \begin{cases} +1 & d_t > θ \\ -1 & d_t < -θ \\ 0 & \text{otherwise} \end{cases},
        \qquad d_t = x_t - x_{t-1}, \qquad s_0 = 0,

        θ = \operatorname{mean}_{t \geq 1} |d_t| + \text{factor} \cdot \operatorname{std}_{t \geq 1}(d_t)

    θ is that of one signal and channel, and `std` the root of the mean squared deviation. The mean is of magnitudes, so
    that −x gives mirrored spikes: a mean of d, which is also in use, makes a falling ramp all −1. A ramp, a constant
    signal and a signal of one sample are silent; sample 0 has no change and no spike. Since θ takes the whole signal,
    the code is not causal; multiplying a signal or adding to it does not change its spikes.

    Parameters
    ----------
    factor : float
        Deviations above the mean, at least 0. A number; it has no unit.
    split : bool
        As in `SignedEncoder`.

    Notes
    -----
    Lost are θ (`threshold_of`) and the value of sample 0, which `decode` takes as `threshold` and `start`; changes up
    to θ; and what a change has beyond θ. An error is never made good: that of `decode` at sample t is at most the sum
    over i = 1 … t of :math:`\left| d_i - θ s_i \right|`, so at most t · max(θ, max|d| − θ).

    References
    ----------
    Sengupta and Kasabov (2017), doi:10.1016/j.ins.2017.04.017; Petro et al. (2020), doi:10.1109/TNNLS.2019.2906158.

    Examples
    --------
    >>> code = TemporalContrast(1.0)
    >>> code.encode([0.0, 0.0, 2.0, 2.0, 2.0]).tolist()
    [0.0, 0.0, 1.0, 0.0, 0.0]
    >>> round(code.threshold_of([0.0, 0.0, 2.0, 2.0, 2.0]), 3)
    1.366
    """

    factor: float = 0.5

    def __post_init__(self) -> None:
        check_number("factor", self.factor)

    @classmethod
    def space(cls, x: np.ndarray) -> dict[str, Sequence[Any]]:
        return {"factor": [0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0]}

    def aside(self, signal: Any) -> dict[str, Any]:
        return super().aside(signal) | {"threshold": self.threshold_of(signal)}

    def threshold_of(self, signal: Any) -> Any:
        """θ of a signal: (batch, channels), or a float for a signal (time,), in the unit of the signal."""
        x = checked("signal", signal, self.precision)
        found = self.limit(np.moveaxis(x, 1, 2) if x.ndim == 3 else x)[1]
        return found if x.ndim == 3 else float(found)

    def limit(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """d from t = 1 on, and θ, of signals whose last axis is time. θ is above its formula by what rounding may do to
        it and to d, so that changes that are all equal do not spike by chance."""
        d, eps = changes(x), np.finfo(x.dtype).eps
        n = max(d.shape[-1], 1)
        size, mean = np.abs(d).sum(axis=-1) / n, (x[..., -1] - x[..., 0]) / n
        variance = np.maximum(np.einsum("...t,...t->...", d, d) / n - mean**2, 0)
        rounding = eps * (16 * size + 2 * np.maximum(np.abs(x[..., 0]), np.abs(x[..., -1])))
        return d, size + self.factor * np.sqrt(variance) + rounding

    def signs(self, x: np.ndarray) -> np.ndarray:
        d, threshold = self.limit(x)
        spikes = np.zeros(x.shape, np.int8)
        beyond(d, threshold[..., None], out=spikes[..., 1:])
        return spikes

    def decode(self, spikes: Any, *, threshold: Any, start: Any = 0.0) -> np.ndarray:
        """`start` and θ for each spike since, of the shape of the signal.

        Parameters
        ----------
        spikes : array
            As `encode` returns.
        threshold : float or array (batch, channels)
            θ, as `threshold_of` the signal returns.
        start : float or array (batch, channels)
            Sample 0 of the signal.
        """
        return self.summed(spikes, threshold, start)
