"""Two devices a weight."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from neko.devices.base import Device, DeviceState
from neko.typing import Array

ROUNDING = 0.1
"""Changes of a conductance below this share of a pulse are taken for rounding."""


class PairState(NamedTuple):
    """The devices of a differential pair, and the factor from siemens to weight."""

    plus: DeviceState
    minus: DeviceState
    scale: Array


@dataclass(frozen=True)
class DifferentialPair:
    r"""A weight as the difference of two conductances.

    .. math::
        w = (g^+ - g^-) \cdot scale, \qquad scale = w_{max} / (g_{max} - g_{min})

    A weight goes up by an up pulse on g⁺ and a down pulse on g⁻, and down the other way, so that one pulse changes it
    by ``2 Δ scale`` at mid-range.

    Parameters
    ----------
    device : Device
        What both are.
    """

    device: Device

    def weight_step(self, w_max: float) -> float:
        """Change of a weight by one pulse at mid-range, for weights in ±w_max."""
        return 2.0 * self.device.dg_min * w_max / (self.device.g_max - self.device.g_min)

    def program(self, xp: Any, key: Array, weights: Array, w_max: Array | float) -> PairState:
        """Devices that hold `weights`, clipped to ±w_max, at ``g_mid ± w / (2 scale)``."""
        if isinstance(w_max, int | float) and not 0.0 < w_max < math.inf:
            raise ValueError(f"w_max={w_max!r}: expected a finite weight above 0")
        scale = xp.ones(()) * w_max / (self.device.g_max - self.device.g_min)
        half = 0.5 * weights / scale
        keys = xp.unstack(xp.random.split(key))
        return PairState(
            self.device.init(xp, keys[0], self.device.g_mid + half),
            self.device.init(xp, keys[1], self.device.g_mid - half),
            scale,
        )

    def weights(self, xp: Any, state: PairState) -> Array:
        """The weights that the devices hold."""
        return (state.plus.g - state.minus.g) * state.scale

    def write(self, xp: Any, state: PairState, weights: Array) -> PairState:
        """Devices that hold `weights` where these differ from what they held, as far as their bounds allow.

        Programming is exact, and half of the change goes to each of the two. Differences of rounding are none.
        """
        away = (weights - self.weights(xp, state)) / state.scale
        away = xp.where(xp.abs(away) > ROUNDING * self.device.dg_min, away, xp.zeros_like(away))
        return state._replace(
            plus=self.device.program(xp, state.plus, state.plus.g + 0.5 * away),
            minus=self.device.program(xp, state.minus, state.minus.g - 0.5 * away),
        )

    def pulse(self, xp: Any, key: Array, state: PairState, direction: Array) -> PairState:
        """One pulse to each device of every weight, by the sign of `direction`; none where it is 0."""
        keys = xp.unstack(xp.random.split(key))
        return PairState(
            self.device.pulse(xp, keys[0], state.plus, direction),
            self.device.pulse(xp, keys[1], state.minus, -direction),
            state.scale,
        )
