"""What a device with stated constants predicts of each next conductance, given all that were measured before."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from neko.devices.base import Device
from neko.devices.fitting.trains import Batch
from neko.devices.state import DeviceState

POINTS = 257
"""Positions at which a law is tabulated, dense at the bounds, where its slope may be infinite; between them its step is
interpolated."""
LEAST = 1e-12
"""Smallest variance, so that data without any noise have a likelihood."""


class Predictions(NamedTuple):
    """Errors of the predictions and their variances, (pulses, variants, trains); NaN where nothing was measured."""

    error: np.ndarray
    variance: np.ndarray

    @property
    def loglikelihood(self) -> np.ndarray:
        """Of each variant, (variants,)."""
        each = np.log(2.0 * np.pi * self.variance) + self.error**2 / self.variance
        return -0.5 * np.asarray(np.nansum(each, axis=(0, 2)))


class Constants(NamedTuple):
    """Constants of several variants of a device: arrays (variants, 1), or (variants, trains) where trains differ.

    `own` are the law's, by name (tuples of arrays for nodes). `noise` (variants, 4) has σ, the noise of a pulse
    relative to its step; τ, that of a measurement; and the deviation of slow noise of measurements with its correlation
    from pulse to pulse. Conductances are positions between the bounds of the batch, -1 to 1.
    """

    own: dict[str, Any]
    step_up: np.ndarray
    step_down: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    noise: np.ndarray


def predictions(law: type[Device], constants: Constants, trains: Batch) -> Predictions:
    r"""The extended Kalman filter of a device.

    .. math::
        g ← \mathrm{clip}(g + d\, Δ_d f_d(g) (1 + σ ξ)), \qquad r ← φ r + ρ \sqrt{1 - φ^2}\, ζ,
        \qquad y = g + r + τ η

    Its errors are independent of each other to first order in the noise, whichever noise is the largest: without that
    of measurements they are errors of single steps, without that of pulses those of a whole trajectory whose start is
    known as well as one measurement says.
    """
    device = object.__new__(law)  # whose constants are arrays, which its constructor would refuse
    for name, value in constants.own.items():
        object.__setattr__(device, name, value)
    variants, size = len(constants.noise), trains.direction.shape[1]
    lower, upper = (np.broadcast_to(a[:, 0], variants) for a in (constants.lower, constants.upper))
    up, down = (np.broadcast_to(a, (variants, size)) for a in (constants.step_up, constants.step_down))
    places = -np.cos(np.linspace(0.0, np.pi, POINTS))
    low, high = lower[:, None], upper[:, None]
    state = DeviceState(low + 0.5 * (high - low) * (1.0 + places), up[:, :1], down[:, :1], low, high, np.zeros(()), ())
    tables = np.empty((2, variants, POINTS))
    for k in range(2):
        tables[k] = device.shape(np, state, k == 0)  # type: ignore[arg-type]
    empty = np.full((2, len(trains.direction), variants, size), np.nan)
    steps = (np.ascontiguousarray(a) for a in (up, down, lower, upper))
    compiled()(places, tables, *steps, constants.noise, trains.g, trains.direction, trains.judged, *empty)
    return Predictions(*empty)


@functools.cache
def compiled() -> Callable[..., None]:
    """`follow` by Numba; where that is missing, itself, some fifty times slower."""
    try:
        from numba import njit
    except ImportError:
        return follow
    found: Callable[..., None] = njit(nogil=True, error_model="numpy")(follow)
    return found


def follow(
    places: Any,
    tables: Any,
    up: Any,
    down: Any,
    lower: Any,
    upper: Any,
    noise: Any,
    y: Any,
    direction: Any,
    judged: Any,
    error: Any,
    total: Any,
) -> None:
    """Writes the errors and their variances; g and r are the means of the filter, a, b and c their covariance."""
    last = tables.shape[2] - 1
    for v in range(error.shape[1]):
        per_unit = 2.0 / (upper[v] - lower[v])
        pulse, read = noise[v, 0] ** 2, max(noise[v, 1] ** 2, LEAST)
        slow, phi = noise[v, 2] ** 2, noise[v, 3]
        for j in range(error.shape[2]):
            g, r, a, b, c = y[0, j], 0.0, read + slow, -slow, slow
            for t in range(error.shape[0]):
                d = direction[t, j]
                if d != 0.0:
                    step = d * (up[v, j] if d > 0.0 else down[v, j])
                    table = tables[0 if d > 0.0 else 1, v]
                    x = min(max((g - lower[v]) * per_unit - 1.0, -1.0), 1.0)
                    i = min(int(math.acos(-x) / math.pi * last), last - 1)
                    rise = (table[i + 1] - table[i]) / (places[i + 1] - places[i])
                    moved = step * (table[i] + (x - places[i]) * rise)
                    slope = 1.0 + step * rise * per_unit
                    g += moved
                    if g < lower[v] or g > upper[v]:
                        g, slope = min(max(g, lower[v]), upper[v]), 0.0
                    a, b = max(slope * slope * a + pulse * moved * moved, LEAST), slope * phi * b
                r, b, c = phi * r, b if d != 0.0 else phi * b, phi * phi * c + slow * (1.0 - phi * phi)
                if math.isfinite(y[t + 1, j]):
                    s, e = a + 2.0 * b + c + read, y[t + 1, j] - g - r
                    if judged[t, j]:
                        error[t, v, j], total[t, v, j] = e, s
                    k, m = (a + b) / s, (b + c) / s
                    g, r = g + k * e, r + m * e
                    a, b, c = a - k * (a + b), b - k * (b + c), c - m * (b + c)
