"""Models of conductance devices: documented constants, a state, and a pure function for each pulse."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, fields
from typing import Any

from neko.arguments import as_list, is_real, plain
from neko.backend.protocol import Backend
from neko.devices.imperfections.base import Imperfection
from neko.devices.state import DeviceState
from neko.registry import Registry
from neko.typing import Array

HALVINGS = 50
"""Of the range, in the search for a symmetry point: more than the digits of a double."""


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
        Spread of the range from device to device, relative: both bounds scale about the middle of the range; a lower
        bound below zero is set to zero.
    imperfections : sequence of Imperfection
        What else is wrong with real devices, in the order in which it acts, those that cannot move at all last: see
        `neko.devices.imperfections`.
    pulse_energy : float, optional
        Energy of one pulse in joules, for the history's ``write_energy``.
    pulse_time : float, optional
        Length of one pulse in seconds, for the history's ``write_time``.

    Raises
    ------
    ValueError
        For bounds out of order, a step that is not positive, or a negative spread, energy or time.
    TypeError
        For an imperfection of another kind.
    """

    _: KW_ONLY
    g_min: float = 1e-6
    g_max: float = 2e-3
    dg_min: float = 1e-5
    up_down: float = 0.0
    dg_min_dtod: float = 0.0
    dg_min_std: float = 0.0
    g_max_dtod: float = 0.0
    imperfections: Sequence[Imperfection] = ()
    pulse_energy: float | None = None
    pulse_time: float | None = None

    def __post_init__(self) -> None:
        given = as_list("imperfections", self.imperfections, "[Stuck(at_min=0.05)]")
        for imperfection in given:
            if not isinstance(imperfection, Imperfection):
                raise TypeError(
                    f"imperfections: {imperfection!r}: expected an Imperfection, such as Stuck(at_min=0.05)"
                )
        object.__setattr__(self, "imperfections", tuple(given))
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
        for name, unit in (("pulse_energy", "joules"), ("pulse_time", "seconds")):
            value = getattr(self, name)
            if value is not None and not (is_real(value) and value >= 0.0):
                raise ValueError(f"{name}={value!r}: expected {unit}, at least 0, or None")

    @property
    def g_mid(self) -> float:
        """Middle of the range in siemens."""
        return 0.5 * (self.g_min + self.g_max)

    @abstractmethod
    def shape(self, xp: Backend, state: DeviceState, up: bool) -> Array | float:
        """f_d(g), the step relative to the one at mid-range, for up or for down pulses."""

    def init(self, xp: Backend, key: Array, g: Array) -> DeviceState:
        """Devices with their spreads and imperfections drawn, at conductances `g` as far as these allow."""
        size = tuple(g.shape)
        keys = xp.unstack(xp.random.split(key, 3 + len(self.imperfections)))
        half = 0.5 * (self.g_max - self.g_min) * self.spread(xp, keys[2], self.g_max_dtod, size)
        lower, upper = xp.maximum(self.g_mid - half, 0.0), self.g_mid + half
        state = DeviceState(
            xp.maximum(xp.minimum(g, upper), lower),
            self.dg_min * (1.0 + self.up_down) * self.spread(xp, keys[0], self.dg_min_dtod, size),
            self.dg_min * (1.0 - self.up_down) * self.spread(xp, keys[1], self.dg_min_dtod, size),
            lower,
            upper,
            xp.zeros(size),
            (),
        )
        own = tuple(
            imperfection.init(xp, k, state) for imperfection, k in zip(self.imperfections, keys[3:], strict=True)
        )
        return self.settled(xp, (), state, state._replace(own=own), xp.ones(size) > 0.0)

    def program(self, xp: Backend, state: DeviceState, g: Array) -> DeviceState:
        """The same devices written to conductances `g` with verification, as far as bounds and imperfections allow."""
        moved = state._replace(g=xp.maximum(xp.minimum(g, state.upper), state.lower))
        if not self.imperfections:
            return moved
        return self.settled(xp, (), state, moved, moved.g != state.g)

    def spread(self, xp: Backend, key: Array, relative: float, size: tuple[int, ...]) -> Array:
        """Random factors with mean 1 and standard deviation `relative`, clipped at 0, or 1 alone."""
        if relative == 0.0:
            return xp.ones(())
        return xp.maximum(1.0 + relative * xp.random.normal(key, size), 0.0)

    def pulse(self, xp: Backend, key: Array, state: DeviceState, direction: Array) -> DeviceState:
        """One pulse to every device: up where `direction` is 1, down where it is -1, none where it is 0."""
        drawing = sum(imperfection.draws for imperfection in self.imperfections)
        noise, *keys = xp.unstack(xp.random.split(key, 1 + drawing)) if drawing else [key]
        up = state.step_up * self.shape(xp, state, True)
        down = state.step_down * self.shape(xp, state, False)
        change = direction * xp.where(direction > 0.0, up, down)
        if self.dg_min_std:
            change = change * (1.0 + self.dg_min_std * xp.random.normal(noise, tuple(state.g.shape)))
        moved = state._replace(
            g=xp.maximum(xp.minimum(state.g + change, state.upper), state.lower),
            pulses=state.pulses + xp.abs(direction),
        )
        return self.settled(xp, keys, state, moved, direction != 0.0)

    def settled(
        self, xp: Backend, keys: Sequence[Array], before: DeviceState, moved: DeviceState, written: Array
    ) -> DeviceState:
        """What imperfections make of devices that were moved, by pulses (with keys) or by programming (without)."""
        left = iter(keys)
        for i, imperfection in enumerate(self.imperfections):
            own = next(left, None) if imperfection.draws else None
            moved = moved.owning(i, *imperfection.settle(xp, own, moved, moved.own[i], written))
        return self.fixed(xp, before, moved)

    def fixed(self, xp: Backend, before: DeviceState, moved: DeviceState) -> DeviceState:
        """Moved devices, those that cannot move left where they are."""
        for imperfection, own in zip(self.imperfections, moved.own, strict=True):
            moved = moved._replace(g=imperfection.fixed(xp, before, moved, own))
        return moved

    def elapse(self, xp: Backend, state: DeviceState, seconds: float) -> DeviceState:
        """The devices after a time without pulses."""
        older = state
        for i, imperfection in enumerate(self.imperfections):
            older = older.owning(i, *imperfection.elapse(xp, older, older.own[i], seconds))
        return self.fixed(xp, state, older)

    @property
    def ages(self) -> bool:
        """Whether devices change with time."""
        return any(imperfection.ages for imperfection in self.imperfections)

    @property
    def noisy(self) -> bool:
        """Whether every read differs."""
        return any(imperfection.noisy for imperfection in self.imperfections)

    def apparent(self, xp: Backend, state: DeviceState) -> Array:
        """The conductances that a read without noise shows, where they differ from the hidden ones that pulses move."""
        g = state.g
        for imperfection, own in zip(self.imperfections, state.own, strict=True):
            g = imperfection.apparent(xp, g, own)
        return g

    def read(self, xp: Backend, key: Array, state: DeviceState, g: Array) -> Array:
        """Conductances `g` as one read with its noise shows them."""
        keys = xp.unstack(xp.random.split(key, 1 + len(self.imperfections)))
        for imperfection, k in zip(self.imperfections, keys, strict=False):
            g = imperfection.read(xp, k, state, g)
        return g

    def symmetry_point(self, xp: Backend, state: DeviceState) -> Array:
        """The conductance at which an up and a down step are equal, by bisection; pairs of opposite pulses lead to it.

        A bound where one step is always the larger; the middle of the range where they are equal everywhere.
        """
        low, high = (bound + xp.zeros_like(state.g) for bound in (state.lower, state.upper))
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            at = state._replace(g=middle)
            gain = at.step_up * self.shape(xp, at, True) - at.step_down * self.shape(xp, at, False)
            low, high = xp.where(gain >= 0.0, middle, low), xp.where(gain <= 0.0, middle, high)
        return 0.5 * (low + high)

    def fractions(self, xp: Backend, state: DeviceState) -> dict[str, Any]:
        """For the history, a condition for each device by name: saturated at a bound, and those of imperfections."""
        found = {"at_bounds": xp.logical_or(state.g <= state.lower, state.g >= state.upper)}
        for imperfection, own in zip(self.imperfections, state.own, strict=True):
            found |= imperfection.fractions(xp, state, own)
        return found


DEVICES: Registry[type[Device]] = Registry("device", "neko.devices")
