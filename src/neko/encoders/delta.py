"""Delta modulation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neko.encoders.base import ENCODERS
from neko.encoders.signed import ThresholdEncoder, changes


@ENCODERS.register("delta", source="Eshraghian et al. (2023), doi:10.1109/JPROC.2023.3308088: snntorch.spikegen.delta")
@dataclass(frozen=True)
class Delta(ThresholdEncoder):
    r"""A spike where the signal changes by at least the threshold from one sample to the next.

    .. math::
        s_t = \begin{cases} +1 & d_t \geq θ \\ -1 & d_t \leq -θ \\ 0 & \text{otherwise} \end{cases},
        \qquad d_t = x_t - x_{t-1}, \qquad d_0 = 0

    This is snnTorch's ``spikegen.delta`` with ``padding=True`` and ``off_spike=True``. Sample 0 is compared with
    itself: compared with zero, as by snnTorch's default, every signal with an offset begins with a false spike. A
    constant signal and a signal of one sample are silent.

    Parameters
    ----------
    threshold : float
        θ > 0, in the unit of the signal.
    split : bool
        As in `SignedEncoder`.

    Notes
    -----
    Lost are the value of sample 0, which `decode` takes as `start`, changes smaller than θ and what a change has beyond
    θ. An error is never made good: that of `decode` at sample t is at most the sum over i = 1 … t of
    :math:`\left| d_i - θ s_i \right|`, so at most t · max(θ, max|d| − θ). It is zero where every change is 0 or ±θ.

    References
    ----------
    Eshraghian et al. (2023), doi:10.1109/JPROC.2023.3308088.

    Examples
    --------
    >>> code = Delta(0.5)
    >>> code.encode([1.0, 1.5, 1.0, 1.25, 1.25]).tolist()
    [0.0, 1.0, -1.0, 0.0, 0.0]
    >>> code.decode([0.0, 1.0, -1.0, 0.0, 0.0], start=1.0).tolist()
    [1.0, 1.5, 1.0, 1.0, 1.0]
    """

    def signs(self, x: np.ndarray) -> np.ndarray:
        change, spikes = changes(x), np.zeros(x.shape, np.int8)
        up, down = change >= self.threshold, change <= -self.threshold
        np.subtract(up.view(np.int8), down.view(np.int8), out=spikes[..., 1:])
        return spikes
