"""Step-forward coding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from neko.encoders.base import ENCODERS
from neko.encoders.signed import ThresholdEncoder, beyond, since_start


@ENCODERS.register("step_forward", source="Kasabov et al. (2016), doi:10.1016/j.neunet.2015.09.011")
@dataclass(frozen=True)
class StepForward(ThresholdEncoder):
    r"""A baseline that follows the signal in steps of the threshold, one spike for each step.

    .. math::
        s_t = \begin{cases} +1 & x_t > b_{t-1} + θ \\ -1 & x_t < b_{t-1} - θ \\ 0 & \text{otherwise} \end{cases},
        \qquad b_t = b_{t-1} + θ s_t, \qquad b_0 = x_0

    Sample 0 is the baseline and has no spike; a constant signal and a signal of one sample are silent.

    Parameters
    ----------
    threshold : float
        θ > 0, in the unit of the signal.
    split : bool
        As in `SignedEncoder`.

    Notes
    -----
    Lost are the value of sample 0, which `decode` takes as `start`, and changes faster than θ per sample: a jump of k θ
    takes about k samples. The error of `decode` is at most :math:`E_t = \max(θ, E_{t-1} + |x_t - x_{t-1}| - θ)` with
    :math:`E_0 = 0`: it is at most θ as long as no change is greater, and what a jump leaves is made good.

    References
    ----------
    Kasabov et al. (2016), doi:10.1016/j.neunet.2015.09.011; Petro et al. (2020), doi:10.1109/TNNLS.2019.2906158.

    Examples
    --------
    >>> code = StepForward(0.5)
    >>> code.encode([0.0, 1.0, 1.0, -0.2]).tolist()
    [0.0, 1.0, 0.0, -1.0]
    >>> code.decode([0.0, 1.0, 0.0, -1.0]).tolist()
    [0.0, 0.5, 0.5, 0.0]
    """

    at_once: ClassVar[int] = 2**22  # each step in time is a pass over the signals: the more of them, the better

    def signs(self, x: np.ndarray) -> np.ndarray:
        x = since_start(x)
        spikes, level, gap = np.zeros(x.shape, np.int8), np.zeros_like(x[0]), np.empty_like(x[0])
        for t in range(1, len(x)):
            np.subtract(x[t], np.multiply(level, self.threshold, out=gap), out=gap)
            level += beyond(gap, self.threshold, out=spikes[t])
        return np.moveaxis(spikes, 0, 2)
