"""Constants of aihwkit's devices, which are relative to a range of weights, as constants in siemens.

Numbers are from the documentation of its presets,
https://aihwkit.readthedocs.io/en/latest/api/aihwkit.simulator.presets.devices.html. Its weights have no unit: the range
``w_min`` to ``w_max`` becomes ``g_min`` to ``g_max`` here, whatever a preset says these are.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import exp
from typing import Any, NamedTuple

from neko.devices.imperfections import WriteNoise


class Weights(NamedTuple):
    """Step and range of a device in weights."""

    dw_min: float
    w_min: float = -1.0
    w_max: float = 1.0
    up_down: float = 0.0

    @property
    def middle(self) -> float:
        """The weight at mid-range, where `Device` states its step; aihwkit does at weight 0."""
        return 0.5 * (self.w_min + self.w_max)

    @property
    def half(self) -> float:
        """Half of the range."""
        return 0.5 * (self.w_max - self.w_min)


def steps(weights: Weights, up: float, down: float, g_min: float, g_max: float) -> dict[str, float]:
    """``dg_min`` and ``up_down`` of steps that are `up` and `down` times those stated, at mid-range."""
    up, down = up * (1.0 + weights.up_down), down * (1.0 - weights.up_down)
    siemens = 0.5 * (g_max - g_min) / weights.half
    return {
        "g_min": g_min,
        "g_max": g_max,
        "dg_min": 0.5 * weights.dw_min * siemens * (up + down),
        "up_down": (up - down) / (up + down),
    }


def linear(weights: Weights, *, gamma_up: float, gamma_down: float, g_min: float, g_max: float) -> dict[str, float]:
    """Constants of `LinearStep` from those of the LinearStep device."""
    slopes = -gamma_up / weights.w_max, -gamma_down / weights.w_min
    up, down = (1.0 + slope * weights.middle for slope in slopes)
    return {
        **steps(weights, up, down, g_min, g_max),
        "gamma_up": slopes[0] * weights.half / up,
        "gamma_down": slopes[1] * weights.half / down,
    }


def exponential(
    weights: Weights,
    *,
    a_up: float,
    a_down: float,
    gamma_up: float,
    gamma_down: float,
    a: float,
    b: float,
    g_min: float,
    g_max: float,
) -> dict[str, float]:
    """Constants of `ExponentialStep` from those of the ExpStep device, ``1 - A exp(d γ z)``, ``z = a w / half + b``."""
    z = a * weights.middle / weights.half + b
    up, down = a_up * exp(gamma_up * z), a_down * exp(-gamma_down * z)
    return {
        **steps(weights, 1.0 - up, 1.0 - down, g_min, g_max),
        "gamma_up": -a * gamma_up,
        "gamma_down": -a * gamma_down,
        "share_up": up / (up - 1.0),
        "share_down": down / (down - 1.0),
    }


def write_noise(std: float, weights: Weights, constants: Mapping[str, Any]) -> WriteNoise:
    """Write noise that is `std` times ``dw_min``."""
    siemens = 0.5 * (constants["g_max"] - constants["g_min"]) / weights.half
    return WriteNoise(std * weights.dw_min * siemens / constants["dg_min"])
