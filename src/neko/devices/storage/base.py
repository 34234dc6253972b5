"""How conductances store weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, dataclass
from numbers import Real
from typing import Any, ClassVar, NamedTuple

from neko.arguments import check_choice, check_number
from neko.backend.protocol import Backend
from neko.devices.base import Device
from neko.devices.state import DeviceState
from neko.registry import Registry
from neko.typing import Array

REFERENCES = ("middle", "symmetry_point")


class Stored(NamedTuple):
    """The devices that store the weights of one tensor.

    ``scale`` is the factor from siemens to weight; ``reference`` what is subtracted from the conductance of each
    device, in siemens; ``held`` the weights when last read, to detect later changes; ``rest`` the part of written
    changes below the precision of the conductances, in siemens; ``refreshes`` how often each weight was rewritten.
    """

    devices: tuple[DeviceState, ...]
    scale: Array
    reference: tuple[Array, ...]
    held: Array
    rest: Array
    refreshes: Array


@dataclass(frozen=True)
class Storage(ABC):
    r"""A weight as the sum of conductances with signs, each measured from its reference.

    .. math::
        w = scale \sum_i s_i\, (g_i - g_{ref,i})

    Parameters
    ----------
    device : Device
        Model of every device.
    reference : {'middle', 'symmetry_point'}
        Where a conductance stands for zero: the middle of the range, or each device's own symmetry point, to which
        pairs of opposite pulses lead (zero shifting; Gokmen & Haensch 2020, doi:10.3389/fnins.2020.00103). A device
        without one (constant steps of two sizes) has its reference at a bound.
    """

    device: Device
    _: KW_ONLY
    reference: str = "middle"

    signs: ClassVar[tuple[float, ...]]
    labels: ClassVar[tuple[str, ...]]
    """What figures call the devices."""

    def __post_init__(self) -> None:
        if not isinstance(self.device, Device):
            raise TypeError(f"device={self.device!r}: expected a Device, for example SoftBounds()")
        check_choice("reference", self.reference, REFERENCES)

    @property
    @abstractmethod
    def reach(self) -> float:
        """The largest weight of devices without spread, in siemens."""

    @property
    def pulse_size(self) -> float:
        """Change of a weight by one pulse at mid-range, in siemens."""
        return len(self.signs) * self.device.dg_min

    def weight_step(self, w_max: float) -> float:
        """Change of a weight by one pulse at mid-range, for weights in ±w_max."""
        return self.pulse_size * w_max / self.reach

    def program(self, xp: Backend, key: Array, weights: Array, w_max: Array | float) -> Stored:
        """Devices that hold `weights`, as far as the bounds allow; ±w_max is the range of devices without spread."""
        if isinstance(w_max, Real):
            w_max = check_number("w_max", w_max, positive=True)
        device, middle = self.device, xp.ones_like(weights) * self.device.g_mid
        keys = xp.unstack(xp.random.split(key))
        devices = tuple(device.init(xp, k, middle) for k, _ in zip(keys, self.signs, strict=False))
        reference = self.references(xp, devices)
        blank = Stored(
            tuple(device.program(xp, d, r + xp.zeros_like(d.g)) for d, r in zip(devices, reference, strict=False))
            or devices,
            xp.ones(()) * w_max / self.reach,
            reference,
            xp.zeros_like(weights),
            xp.zeros_like(weights),
            xp.zeros(()),
        )
        return self.write(xp, self.read(xp, blank), weights)

    def references(self, xp: Backend, devices: tuple[DeviceState, ...]) -> tuple[Array, ...]:
        """The reference of each device; none for a sum in which they cancel."""
        if self.reference == "symmetry_point":
            return tuple(self.device.symmetry_point(xp, d) for d in devices)
        return () if sum(self.signs) == 0.0 else tuple(xp.ones(()) * self.device.g_mid for _ in devices)

    def weights(self, xp: Backend, stored: Stored) -> Array:
        """The weights that the devices hold."""
        return self.combined(stored, tuple(self.device.apparent(xp, d) for d in stored.devices))

    def noisy(self, xp: Backend, key: Array, stored: Stored) -> Array:
        """The weights as one noisy read shows them."""
        keys = xp.unstack(xp.random.split(key))
        seen = (
            self.device.read(xp, k, d, self.device.apparent(xp, d)) for k, d in zip(keys, stored.devices, strict=False)
        )
        return self.combined(stored, tuple(seen))

    def combined(self, stored: Stored, conductances: tuple[Array, ...]) -> Array:
        """The weights of conductances."""
        if stored.reference:
            conductances = tuple(g - r for g, r in zip(conductances, stored.reference, strict=True))
        total: Any = conductances[0]
        for g in conductances[1:]:
            total = total - g
        return total * stored.scale

    def write(self, xp: Backend, stored: Stored, weights: Array) -> Stored:
        """Devices that hold `weights`, as far as the bounds of all allow; devices of unchanged weights do not change.

        Each device takes an equal part of the change, or what the others cannot take. Programming is exact: a change
        below the precision of the conductances is kept in `Stored.rest` and added to later ones.
        """
        away = (weights - stored.held) / stored.scale
        wanted = xp.where(away == 0.0, xp.zeros_like(away), away + stored.rest)
        before, devices = stored.devices, list(stored.devices)
        order = [(0, 1.0 / len(devices)), *((i, 1.0) for i in (*range(1, len(devices)), *range(len(devices) - 1)))]
        for i, share in order:
            left = share * self.missing(wanted, before, tuple(devices))
            devices[i] = self.device.program(xp, devices[i], devices[i].g + self.signs[i] * left)
        left = self.missing(wanted, before, tuple(devices))
        # Nothing waits where no device can take it: what cannot be held is lost, as w_max says.
        waits = xp.where(self.full(xp, tuple(devices), wanted), xp.zeros_like(away), left)
        rest = xp.zeros_like(away) if self.device.imperfections else xp.where(away == 0.0, stored.rest, waits)
        return self.read(xp, stored._replace(devices=tuple(devices), rest=rest))

    def missing(self, wanted: Array, before: tuple[DeviceState, ...], now: tuple[DeviceState, ...]) -> Array:
        """What is left of a wanted change, in siemens, after devices have moved from where they were before."""
        for sign, was, device in zip(self.signs, before, now, strict=True):
            wanted = wanted - sign * (device.g - was.g)
        return wanted

    def full(self, xp: Backend, devices: tuple[DeviceState, ...], wanted: Array) -> Array:
        """Whether all devices are at the bounds to which a change leads."""
        up, down = None, None
        for sign, d in zip(self.signs, devices, strict=True):
            top, bottom = d.g >= d.upper, d.g <= d.lower
            raised, lowered = (top, bottom) if sign > 0.0 else (bottom, top)
            up = raised if up is None else xp.logical_and(up, raised)
            down = lowered if down is None else xp.logical_and(down, lowered)
        return xp.where(wanted > 0.0, up, down)

    def read(self, xp: Backend, stored: Stored) -> Stored:
        """The same devices, with the weights that they hold now."""
        return stored._replace(held=self.weights(xp, stored))

    def directions(self, xp: Backend, direction: Array) -> tuple[Array, ...]:
        """The pulse of each device, by the sign of `direction`, which increases or decreases the weight."""
        return tuple(direction if sign > 0.0 else -direction for sign in self.signs)

    def pulse(self, xp: Backend, key: Array, stored: Stored, direction: Array) -> Stored:
        """One pulse that changes each weight by the sign of `direction`; none where it is 0."""
        keys = xp.unstack(xp.random.split(key))
        given = zip(keys, stored.devices, self.directions(xp, direction), strict=False)
        return self.read(xp, stored._replace(devices=tuple(self.device.pulse(xp, k, d, way) for k, d, way in given)))

    def train(self, xp: Backend, key: Array, stored: Stored, number: Array, most: int) -> Stored:
        """As many pulses as `number` says, at most `most` in one direction, each with noise of its own."""
        way, count = xp.sign(number), xp.abs(number)
        for k, own in enumerate(xp.unstack(xp.random.split(key, most)) if most > 1 else [key]):
            stored = self.pulse(xp, own, stored, xp.where(count > k + 0.5, way, xp.zeros_like(way)))
        return stored

    def elapse(self, xp: Backend, stored: Stored, seconds: float) -> Stored:
        """The devices, and what they hold, after a time without pulses."""
        aged = tuple(self.device.elapse(xp, d, seconds) for d in stored.devices)
        return self.read(xp, stored._replace(devices=aged))


STORAGES: Registry[type[Storage]] = Registry("storage", "neko.devices.storage")
