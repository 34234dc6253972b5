"""Models of conductance devices: documented constants, a state, and a pure function for each pulse."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, dataclass, fields
from typing import NamedTuple

from neko.arguments import is_real, plain
from neko.backend.protocol import Backend
from neko.registry import Registry
from neko.typing import Array


class DeviceState(NamedTuple):
    """Devices of one array: conductance `g`, steps `step_up` and `step_down` at mid-range, bounds `lower` and
    `upper`, all in siemens, and the number of `pulses` each device has had. What does not differ from device to device
    is a scalar."""

    g: Array
    step_up: Array
    step_down: Array
    lower: Array
    upper: Array
    pulses: Array


@dataclass(frozen=True)
class Device(ABC):
    r"""A device whose conductance moves by a small step with each pulse.

    .. math::
        g ← \mathrm{clip}\big(g + d\, Δ_d\, f_d(g)\, (1 + σ ξ),\; g_{min},\; g_{max}\big), \qquad d = ±1

    A subclass gives the shape f of the step; ``f = 1`` at the middle of the range.

    Parameters
    ----------
    g_min, g_max : float
        Bounds of the conductance in siemens.
    dg_min : float
        Δ, mean step of one pulse at mid-range in siemens.
    up_down : float
        Asymmetry: up steps are ``Δ (1 + up_down)``, down steps ``Δ (1 - up_down)``.
    dg_min_dtod : float
        Spread of Δ from device to device, the standard deviation relative to Δ, drawn once; up and down steps of a
        device are drawn independently. Draws below zero are set to zero: pulses do not move such a device, but
        `program` (writing with verification) does.
    dg_min_std : float
        Cycle-to-cycle noise σ, relative to the step, drawn for every pulse.
    g_max_dtod : float
        Spread of the range from device to device, relative: both bounds scale about the middle of the range.

    Raises
    ------
    ValueError
        For bounds out of order, a step that is not positive, or a negative spread.
    """

    _: KW_ONLY
    g_min: float = 1e-6
    g_max: float = 2e-3
    dg_min: float = 1e-5
    up_down: float = 0.0
    dg_min_dtod: float = 0.0
    dg_min_std: float = 0.0
    g_max_dtod: float = 0.0

    def __post_init__(self) -> None:
        for constant in fields(self):
            # Python numbers, since NumPy scalars would change the precision of a framework's operations
            object.__setattr__(self, constant.name, plain(getattr(self, constant.name)))
        if not (is_real(self.g_min) and is_real(self.g_max) and 0.0 <= self.g_min < self.g_max):
            raise ValueError(f"g_min={self.g_min!r}, g_max={self.g_max!r}: expected 0 <= g_min < g_max in siemens")
        if not (is_real(self.dg_min) and 0.0 < self.dg_min <= self.g_max - self.g_min):
            raise ValueError(f"dg_min={self.dg_min!r}: expected a step above 0 and no larger than g_max - g_min")
        if not (is_real(self.up_down) and -1.0 <= self.up_down <= 1.0):
            raise ValueError(f"up_down={self.up_down!r}: expected a number from -1 to 1")
        for name in ("dg_min_dtod", "dg_min_std", "g_max_dtod"):
            value = getattr(self, name)
            if not (is_real(value) and value >= 0.0):
                raise ValueError(f"{name}={value!r}: expected a finite relative spread of at least 0")

    @property
    def g_mid(self) -> float:
        """Middle of the range in siemens."""
        return 0.5 * (self.g_min + self.g_max)

    @abstractmethod
    def shape(self, xp: Backend, state: DeviceState, up: bool) -> Array | float:
        """f_d(g), the step relative to the one at mid-range, for up or for down pulses."""

    def init(self, xp: Backend, key: Array, g: Array) -> DeviceState:
        """Devices with their spreads drawn, at conductances `g` as far as their bounds allow."""
        size = tuple(g.shape)
        keys = xp.unstack(xp.random.split(key, 3))
        half = 0.5 * (self.g_max - self.g_min) * self.spread(xp, keys[2], self.g_max_dtod, size)
        lower, upper = self.g_mid - half, self.g_mid + half
        return DeviceState(
            xp.maximum(xp.minimum(g, upper), lower),
            self.dg_min * (1.0 + self.up_down) * self.spread(xp, keys[0], self.dg_min_dtod, size),
            self.dg_min * (1.0 - self.up_down) * self.spread(xp, keys[1], self.dg_min_dtod, size),
            lower,
            upper,
            xp.zeros(size),
        )

    def program(self, xp: Backend, state: DeviceState, g: Array) -> DeviceState:
        """The same devices at conductances `g`, as far as their bounds allow."""
        return state._replace(g=xp.maximum(xp.minimum(g, state.upper), state.lower))

    def spread(self, xp: Backend, key: Array, relative: float, size: tuple[int, ...]) -> Array:
        """Random factors with mean 1 and standard deviation `relative`, clipped at 0, or 1 alone."""
        if relative == 0.0:
            return xp.ones(())
        return xp.maximum(1.0 + relative * xp.random.normal(key, size), 0.0)

    def pulse(self, xp: Backend, key: Array, state: DeviceState, direction: Array) -> DeviceState:
        """One pulse to every device: up where `direction` is 1, down where it is -1, none where it is 0."""
        up = state.step_up * self.shape(xp, state, True)
        down = state.step_down * self.shape(xp, state, False)
        change = direction * xp.where(direction > 0.0, up, down)
        if self.dg_min_std:
            change = change * (1.0 + self.dg_min_std * xp.random.normal(key, tuple(state.g.shape)))
        moved = self.program(xp, state, state.g + change)
        return moved._replace(pulses=state.pulses + xp.abs(direction))


DEVICES: Registry[type[Device]] = Registry("device", "neko.devices")
