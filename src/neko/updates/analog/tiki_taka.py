"""Tiki-Taka: gradients go to a fast array, which moves the weights slowly."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

from neko.arguments import check_integer, check_number
from neko.backend.protocol import Backend
from neko.devices import Device, SingleDevice, Storage, Stored
from neko.typing import Array
from neko.updates.analog.following import Following
from neko.updates.registry import UPDATES

VERSIONS = (1, 2)


@UPDATES.register("tiki_taka")
@dataclass(frozen=True)
class TikiTaka(Following):
    r"""Two arrays of devices per tensor: a fast one, A, that sums gradients, and a slow one, C, that stores weights.

    .. math::
        A ← A + \text{pulses for } Δw, \qquad C ← C + \text{pulses for } λ A \text{ of one column in turn}

    A counts from the symmetry points of its devices, to which the pulses of a gradient without a mean lead it: the
    asymmetry that spoils learning in one array makes A a leaky average, which fades where there is nothing to learn.
    Every `every` updates the next `columns` of A are read and written to C, by probabilistic pulses (version 1), or
    through a digital memory H (version 2) that sums what is read and sends a pulse for each whole one,

    .. math::
        H ← H + λ A, \qquad n = \mathrm{trunc}(H / ε), \qquad H ← H - n ε,

    which averages noise of reads and of A away.

    Parameters
    ----------
    version : {1, 2}
        With the digital memory (2) or without (1).
    transfer : float
        λ, part of A that a transfer adds to C.
    every : int
        Number of updates from one transfer to the next.
    columns : int
        Number of columns that a transfer reads, at most all; with batches more than one, since updates are then fewer.
    fast : Device or Storage, optional
        Devices of A; by default one device per weight of the same kind, counted from its symmetry point.
    device, optimizer, learning_rate, most, w_max, digital, seconds, seed
        As for `Following`, for C; `learning_rate` scales the changes of A.

    References
    ----------
    Version 1: Gokmen & Haensch (2020), doi:10.3389/fnins.2020.00103; version 2: Gokmen (2021),
    doi:10.3389/frai.2021.699148.
    """

    _: KW_ONLY
    version: int = 2
    transfer: float = 1.0
    every: int = 1
    columns: int = 1
    fast: Device | Storage | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.version not in VERSIONS:
            raise ValueError(f"version={self.version!r}: expected one of {VERSIONS!r}")
        object.__setattr__(self, "transfer", check_number("transfer", self.transfer, positive=True))
        for name in ("every", "columns"):
            object.__setattr__(self, name, check_integer(name, getattr(self, name)))
        if self.fast is not None and not isinstance(self.fast, Device | Storage):
            raise TypeError(f"fast={self.fast!r}: expected a Device, for example SoftBounds(), or a Storage of one")

    @property
    def first(self) -> Storage:
        """How the devices of A store its sums."""
        given: Any = self.device if self.fast is None else self.fast
        device = given.device if self.fast is None and isinstance(given, Storage) else given
        return SingleDevice(device, reference="symmetry_point") if isinstance(device, Device) else device

    def memory(self, xp: Backend, key: Array, w: Array, stored: Stored) -> Any:
        """The devices of A at zero, H, the column whose turn it is, and the updates since the last transfer."""
        largest = stored.scale * self.storage.reach
        fast = self.first.program(xp, xp.unstack(xp.random.split(key))[1], xp.zeros_like(w), largest)
        return fast, xp.zeros_like(w), xp.zeros(()), xp.zeros(())

    def moved(self, xp: Backend, key: Array, stored: Stored, own: Any, w: Array, wanted: Array) -> tuple[Stored, Any]:
        fast, hidden, column, count = own
        keys = xp.unstack(xp.random.split(key, 3))
        fast = xp.elementwise(summed, self, keys[0], fast, wanted)
        now = xp.astype(count + 1.0 >= self.every, xp.dtype)
        number = int(w.shape[-1])
        read_now = min(self.columns, number)
        after = xp.arange(number, dtype=xp.dtype) - column
        after = xp.where(after < 0.0, after + number, after)
        turn = now * xp.astype(after < read_now, xp.dtype)
        read = self.first.noisy(xp, keys[2], fast) if self.first.device.noisy else fast.held
        stored, hidden = super().moved(xp, keys[1], stored, hidden, w, turn * (self.transfer * read))
        column = column + read_now * now
        column = xp.where(column < number, column, column - number)
        return stored, (fast, hidden, column, (1.0 - now) * (count + 1.0))

    def change(
        self, xp: Backend, key: Array, storage: Storage, stored: Stored, own: Any, wanted: Array
    ) -> tuple[Stored, Any]:
        if self.version == 1:
            return self.write_by_chance(xp, key, storage, stored, wanted), own
        return self.write_whole(xp, xp.unstack(xp.random.split(key))[1], storage, stored, own + wanted)

    def arrays(self, stored: Stored, own: Any) -> dict[str, tuple[Storage, Stored]]:
        return {**super().arrays(stored, own), " (fast)": (self.first, own[0])}


def summed(xp: Backend, rule: TikiTaka, key: Array, fast: Stored, wanted: Array) -> Stored:
    """A after the pulses for a wanted change."""
    return rule.aged(xp, rule.first, rule.write_by_chance(xp, key, rule.first, fast, wanted))
