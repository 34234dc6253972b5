"""Moving-window coding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neko.arguments import check_integer
from neko.encoders.base import ENCODERS
from neko.encoders.signed import ThresholdEncoder, beyond


@ENCODERS.register("moving_window", source="Kasabov et al. (2016), doi:10.1016/j.neunet.2015.09.011")
@dataclass(frozen=True)
class MovingWindow(ThresholdEncoder):
    r"""A spike where the signal leaves the mean of the samples before it.

    .. math::
        s_t = \begin{cases} +1 & x_t > b_t + θ \\ -1 & x_t < b_t - θ \\ 0 & \text{otherwise} \end{cases},
        \qquad b_t = \operatorname{mean}(x_{t-w}, …, x_{t-1})

    The window ends at the sample before t and holds fewer than w samples at the beginning, so that the code is causal
    and every sample but the first can spike. A published form takes for the first w samples the mean of all of them,
    later ones included. Sample 0 has nothing before it and no spike; a constant signal and a signal of one sample are
    silent. A window of 1 is delta modulation.

    Parameters
    ----------
    threshold : float
        θ > 0, in the unit of the signal.
    window : int
        w, in samples.
    split : bool
        As in `SignedEncoder`.

    Notes
    -----
    A spike tells on which side of its base the signal lies, not a step of the base: adding up θ for each spike, which
    is step-forward's decoder, turns one step of the signal into as many as it has spikes. `decode` repeats the code on
    what it has decoded, :math:`\hat x_t = \hat b_t + θ s_t` with :math:`\hat b_t` the mean of its own last w samples.
    Lost are the value of sample 0, which `decode` takes as `start`, and how far from its base a sample is, but for the
    side of ±θ. The error at t is at most :math:`E_t = \operatorname{mean}(E_{t-w}, …, E_{t-1}) + \left| x_t - b_t -
    θ s_t \right|` with :math:`E_0 = 0`, by the triangle inequality: it is not made good and may grow with t.

    References
    ----------
    Kasabov et al. (2016), doi:10.1016/j.neunet.2015.09.011; Petro et al. (2020), doi:10.1109/TNNLS.2019.2906158.

    Examples
    --------
    >>> code = MovingWindow(0.5, window=2)
    >>> code.encode([0.0, 1.0, 1.0, 1.0, 0.0]).tolist()
    [0.0, 1.0, 0.0, 0.0, -1.0]
    >>> code.decode([0.0, 1.0, 0.0, 0.0, -1.0]).tolist()
    [0.0, 0.5, 0.25, 0.375, -0.1875]
    """

    window: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("window", self.window)

    @classmethod
    def space(cls, x: np.ndarray) -> dict[str, Sequence[Any]]:
        return super().space(x) | {"window": [1, 2, 3, 5, 10, 20]}

    def signs(self, x: np.ndarray) -> np.ndarray:
        w = min(self.window, x.shape[2])
        x, spikes = np.subtract(x, x[..., :1], order="C"), np.zeros(x.shape, np.int8)
        # Signal after signal in one row, which is fastest; windows that reach into the signal before are replaced.
        row = x.reshape(-1)
        base = sums(row[:-1], w) * x.dtype.type(1.0 / w)
        beyond(np.subtract(row[w:], base, out=base), self.threshold, out=spikes.reshape(-1)[w:])
        first = x[..., : w - 1].cumsum(axis=-1) / np.arange(1, w, dtype=x.dtype)
        spikes[..., 0] = 0
        beyond(x[..., 1:w] - first, self.threshold, out=spikes[..., 1:w])
        return spikes

    def decode(self, spikes: Any, *, start: Any = 0.0) -> np.ndarray:
        """The mean of the decoded samples in the window and θ for a spike; otherwise as `ThresholdEncoder.decode`."""
        x = self.threshold * self.signed(spikes)
        for t in range(1, x.shape[1]):
            x[:, t] += x[:, max(t - self.window, 0) : t].mean(axis=1)
        return self.returned(x + np.broadcast_to(start, (len(x), x.shape[2]))[:, None], spikes)


def sums(x: np.ndarray, w: int) -> np.ndarray:
    """Sums of w adjacent entries (n,), by halves; no running sum, which would drift."""
    if w == 1:
        return x
    half = sums(x, w // 2)
    even = half[w // 2 :] + half[: -(w // 2)]
    return even if w % 2 == 0 else even[1:] + x[: len(even) - 1]
