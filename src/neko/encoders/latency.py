"""Latency coding: time to first spike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neko.arguments import check_choice, check_integer, check_number
from neko.encoders.base import ENCODERS
from neko.encoders.values import InvertibleEncoder


@ENCODERS.register("latency", source="Eshraghian et al. (2023), doi:10.1109/JPROC.2023.3308088")
@dataclass(frozen=True)
class Latency(InvertibleEncoder):
    r"""One spike for each sample, the earlier the larger the value.

    .. math::
        t = τ (1 - v) \text{ (linear)}, \qquad t = τ \ln\frac{v}{v - θ} \text{ (logarithmic)}

    rounded to a time step of the sample's window, the last one if it is later. The logarithm is the time at which a
    leaky neuron with constant input v reaches θ. A linear code takes v below θ as θ; in a logarithmic one it spikes in
    the last step. Each sample is coded by itself: sample 0, a constant signal and a signal of one sample spike like any
    other.

    Parameters
    ----------
    steps : int
        Time steps of a sample, at least 2.
    scale : {'linear', 'logarithmic'}
        Which formula.
    tau : float, optional
        τ in time steps; by default ``steps - 1``, with which a linear code fills the window.
    threshold : float
        θ from 0 (logarithmic: above 0) to below 1, as a part of the range.
    clip : bool
        Whether values below θ have no spike, so that nothing costs nothing.
    low, high : float
        As in `RangedEncoder`.

    Notes
    -----
    `decode` gives the value of the time step, and `low` for no spike. A value from θ upwards whose time is in the
    window lies between those of the times half a step earlier and later: at most ``(high - low) / (2 τ)`` away if
    linear. Lost are smaller values. Logarithmic times are close together for values far above θ: with θ = 0.01 every
    value above 0.3 spikes in the first of 16 steps.

    References
    ----------
    Eshraghian et al. (2023), doi:10.1109/JPROC.2023.3308088; `spikegen.latency` of snnTorch, without its
    normalisation of logarithmic times by the latest spike in the batch, by which a spike would depend on its
    neighbours. Time to first spike: Thorpe et al. (2001), doi:10.1016/S0893-6080(01)00083-1.

    Examples
    --------
    >>> code = Latency(5)
    >>> code.encode([1.0, 0.5]).tolist()
    [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]
    >>> code.decode(code.encode([1.0, 0.5])).tolist()
    [1.0, 0.5]
    """

    steps: int = 16
    scale: str = "linear"
    tau: float | None = None
    threshold: float = 0.01
    clip: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("steps", self.steps, least=2)
        check_choice("scale", self.scale, ("linear", "logarithmic"))
        if self.tau is not None:
            check_number("tau", self.tau, positive=True)
        if check_number("threshold", self.threshold, positive=self.scale != "linear") >= 1.0:
            raise ValueError(f"threshold={self.threshold!r}: expected a part of the range, below 1")

    @property
    def constant(self) -> float:
        """τ in time steps."""
        return self.steps - 1 if self.tau is None else self.tau

    @classmethod
    def space(cls, x: np.ndarray) -> dict[str, Sequence[Any]]:
        return {**super().space(x), "steps": [4, 8, 16, 32, 64], "threshold": [0.01, 0.05, 0.2], "clip": [False, True]}

    def pattern(self, v: np.ndarray) -> np.ndarray:
        if self.scale == "linear":
            times = self.constant * (1.0 - np.maximum(v, self.threshold))
        else:
            with np.errstate(divide="ignore"):  # a threshold that is never reached
                times = -self.constant * np.log1p(-self.threshold / np.maximum(v, self.threshold))
        step = np.minimum(np.floor(times + 0.5), self.steps - 1).astype(np.int32)
        spikes = step == np.arange(self.steps, dtype=np.int32)[:, None, None]
        return spikes & (v >= self.threshold) if self.clip else spikes

    def values(self, z: np.ndarray) -> np.ndarray:
        step = z.argmax(axis=2)[:, :, 0]
        if self.scale == "linear":
            v = 1.0 - step / self.constant
        else:
            earliest = -self.constant * np.log1p(-self.threshold)  # the time of v = 1
            v = -self.threshold / np.expm1(-np.maximum(step, earliest) / self.constant)
        return np.where(z.sum(axis=2)[:, :, 0] > 0, np.maximum(v, 0.0), 0.0)
