"""Differential pair: two devices per weight."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import NamedTuple

from neko.arguments import check_number
from neko.backend.protocol import Backend
from neko.devices.base import Device, DeviceState
from neko.typing import Array


class PairState(NamedTuple):
    """The devices of a differential pair.

    ``scale`` is the factor from siemens to weight; ``held`` the weights when last read, to detect later changes;
    ``rest`` the part of written changes below the precision of the conductances, in siemens.
    """

    plus: DeviceState
    minus: DeviceState
    scale: Array
    held: Array
    rest: Array


@dataclass(frozen=True)
class DifferentialPair:
    r"""A weight as the difference of two conductances.

    .. math::
        w = (g^+ - g^-) \cdot scale, \qquad scale = w_{max} / (g_{max} - g_{min})

    A weight is increased by an up pulse on g⁺ and a down pulse on g⁻, and decreased by the opposite pulses; one such
    pair of pulses changes it by ``2 Δ scale`` at mid-range.

    Parameters
    ----------
    device : Device
        Model of both devices.
    """

    device: Device

    def weight_step(self, w_max: float) -> float:
        """Change of a weight by one pulse at mid-range, for weights in ±w_max."""
        return 2.0 * self.device.dg_min * w_max / (self.device.g_max - self.device.g_min)

    def program(self, xp: Backend, key: Array, weights: Array, w_max: Array | float) -> PairState:
        """Devices that hold `weights` at ``g_mid ± w / (2 scale)``.

        Where one device reaches its bound the other takes the remainder; the range of a pair is that of the bounds of
        both devices, ±w_max for devices without spread.
        """
        if isinstance(w_max, Real):
            w_max = check_number("w_max", w_max, positive=True)
        middle = xp.ones_like(weights) * self.device.g_mid
        keys = xp.unstack(xp.random.split(key))
        blank = PairState(
            self.device.init(xp, keys[0], middle),
            self.device.init(xp, keys[1], middle),
            xp.ones(()) * w_max / (self.device.g_max - self.device.g_min),
            xp.zeros_like(weights),
            xp.zeros_like(weights),
        )
        return self.write(xp, blank, weights)

    def weights(self, xp: Backend, state: PairState) -> Array:
        """The weights that the devices hold."""
        return (state.plus.g - state.minus.g) * state.scale

    def write(self, xp: Backend, state: PairState, weights: Array) -> PairState:
        """Devices that hold `weights`, as far as the bounds of both allow; devices of unchanged weights do not change.

        Each device takes half of the change, or the part that the other cannot take. Programming is exact: a change
        below the precision of the conductances is kept in `PairState.rest` and added to later ones.
        """
        away = (weights - state.held) / state.scale
        wanted = xp.where(away == 0.0, xp.zeros_like(away), away + state.rest)
        plus = self.device.program(xp, state.plus, state.plus.g + 0.5 * wanted)
        minus = self.device.program(xp, state.minus, state.minus.g - (wanted - (plus.g - state.plus.g)))
        plus = self.device.program(xp, plus, plus.g + missing(wanted, state, plus, minus))
        # At the bounds of both nothing waits: what a pair can not hold is lost, as w_max says.
        up = xp.logical_and(plus.g >= plus.upper, minus.g <= minus.lower)
        down = xp.logical_and(plus.g <= plus.lower, minus.g >= minus.upper)
        full = xp.where(wanted > 0.0, up, down)
        rest = xp.where(full, xp.zeros_like(away), missing(wanted, state, plus, minus))
        return self.read(xp, state._replace(plus=plus, minus=minus, rest=xp.where(away == 0.0, state.rest, rest)))

    def read(self, xp: Backend, state: PairState) -> PairState:
        """The same devices, with the weights that they hold now."""
        return state._replace(held=self.weights(xp, state))

    def pulse(self, xp: Backend, key: Array, state: PairState, direction: Array) -> PairState:
        """One pulse to each device of every weight, by the sign of `direction`; none where it is 0."""
        keys = xp.unstack(xp.random.split(key))
        plus = self.device.pulse(xp, keys[0], state.plus, direction)
        minus = self.device.pulse(xp, keys[1], state.minus, -direction)
        return self.read(xp, state._replace(plus=plus, minus=minus))


def missing(wanted: Array, before: PairState, plus: DeviceState, minus: DeviceState) -> Array:
    """What is left of a wanted change of g⁺ - g⁻ after the two have moved from where they were before."""
    return wanted - (plus.g - before.plus.g) + (minus.g - before.minus.g)
