"""Updates whose weights lie in devices: how a wanted change becomes pulses."""

from __future__ import annotations

import fnmatch
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from neko.arguments import as_list, check_choice, check_integer, check_number, is_real, plain
from neko.backend import OPTIMIZERS
from neko.backend.protocol import Backend
from neko.backend.update import Update
from neko.devices import Device, DifferentialPair, Storage, Stored
from neko.typing import Array


@dataclass(frozen=True)
class Analog(ABC):
    """Weights in conductances, changed by pulses alone; a subclass says how a wanted change becomes pulses.

    From the first forward pass on the weights are those stored in the devices, clipped to their range. Any other change
    of weights (a decay, a checkpoint, an assignment) is written exactly to the devices, within their bounds, before the
    next forward pass.

    Parameters
    ----------
    device : Device or Storage, optional
        Model of the devices. A `Device` stands for two of them per weight, ``DifferentialPair(device)``.
    w_max : float, optional
        The largest weight that can be stored; by default twice the largest initial weight of each tensor (1 for a
        tensor of zeros). Larger weights are clipped when the devices are programmed.
    digital : sequence of str
        Names of parameters that stay digital, with the wild cards ``*`` and ``?``, such as ``['*.b', 'readout.*']``;
        the optimizer changes them directly.
    seconds : float, optional
        Time from one update to the next, for devices that drift or decay.
    seed : int
        Seed of the devices' spread and noise.

    Raises
    ------
    TypeError
        For a device of another kind.
    ValueError
        For a w_max that is not above 0, or devices that change with time without `seconds`.
    """

    _: KW_ONLY
    device: Device | Storage | None = None
    w_max: float | None = None
    digital: Sequence[str] = ()
    seconds: float | None = None
    seed: int = 0

    follows: ClassVar[bool] = True
    """Whether pulses follow the change that the optimizer wants; if not, they follow the negative gradient."""

    def __post_init__(self) -> None:
        if self.device is not None and not isinstance(self.device, Device | Storage):
            raise TypeError(f"device={self.device!r}: expected a Device, for example SoftBounds(), or a Storage of one")
        if self.w_max is not None and (self.device is None or not is_real(self.w_max) or self.w_max <= 0.0):
            raise ValueError(f"w_max={self.w_max!r}: expected a weight above 0, and a device that holds it")
        if self.seconds is not None:
            object.__setattr__(self, "seconds", check_number("seconds", self.seconds))
        elif self.device is not None and self.storage.device.ages:
            raise ValueError(f"seconds=None: expected the time between two updates, in which {self.device!r} changes")
        object.__setattr__(self, "digital", tuple(as_list("digital", self.digital, "['readout.*']")))
        if self.digital and self.device is None:
            raise ValueError(f"digital={self.digital!r}: expected a device, which the other parameters lie in")
        object.__setattr__(self, "w_max", plain(self.w_max))
        object.__setattr__(self, "seed", check_integer("seed", self.seed, least=0))

    @property
    def storage(self) -> Storage:
        """How devices store a weight; of an update with a device."""
        given: Any = self.device
        return DifferentialPair(given) if isinstance(given, Device) else given

    @property
    @abstractmethod
    def learning_rate(self) -> float | Callable[[int], float]:
        """The rate of the optimizer."""

    @property
    @abstractmethod
    def optimizer(self) -> str:
        """Name of the optimizer of digital parameters and, if pulses follow it, of all."""

    def bind(self, xp: Backend) -> Update:
        """The update on a backend."""
        from neko.updates.analog.update import AnalogUpdate

        return AnalogUpdate(self, xp, xp.optimizer(self.optimizer))

    def memory(self, xp: Backend, key: Array, w: Array, stored: Stored) -> Any:
        """What the update remembers of one tensor besides its devices."""
        return ()

    def change(
        self, xp: Backend, key: Array, storage: Storage, stored: Stored, own: Any, wanted: Array
    ) -> tuple[Stored, Any]:
        """The devices of a tensor, and what is remembered of it, after pulses for a wanted change; element-wise.

        A subclass defines this, or `moved` where the weights of a tensor are not changed one by one.
        """
        raise NotImplementedError(f"{type(self).__name__} defines neither change nor moved")

    def moved(self, xp: Backend, key: Array, stored: Stored, own: Any, w: Array, wanted: Array) -> tuple[Stored, Any]:
        """Devices that store the weights `w`, after the pulses of one update."""
        return xp.elementwise(written, self, key, stored, own, w, wanted)

    def aged(self, xp: Backend, storage: Storage, stored: Stored) -> Stored:
        """The devices after the time until the next update."""
        return storage.elapse(xp, stored, self.seconds) if self.seconds and storage.device.ages else stored

    def arrays(self, stored: Stored, own: Any) -> dict[str, tuple[Storage, Stored]]:
        """All devices of a tensor, by what figures add to its name: nothing for those that hold its weights."""
        return {"": (self.storage, stored)}

    def in_devices(self, names: Iterable[str]) -> list[str]:
        """The parameters that lie in devices, sorted; ValueError for a pattern of `digital` that none fits."""
        names = sorted(names)
        for pattern in self.digital:
            if not fnmatch.filter(names, pattern):
                raise ValueError(f"digital={pattern!r}: expected a pattern that fits one of {names!r}")
        return [name for name in names if not any(fnmatch.fnmatchcase(name, pattern) for pattern in self.digital)]


def check_optimizer(name: Any) -> None:
    """ValueError unless it is the name of an optimizer of every framework."""
    check_choice("optimizer", name, tuple(OPTIMIZERS))


def written(
    xp: Backend, rule: Analog, key: Array, stored: Stored, own: Any, w: Array, wanted: Array
) -> tuple[Stored, Any]:
    """Devices that store the weights, after the pulses of one update and the time until the next."""
    storage = rule.storage
    stored, own = rule.change(xp, key, storage, storage.write(xp, stored, w), own, wanted)
    return rule.aged(xp, storage, stored), own
