"""A differential pair for devices that pulses can only increase."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from neko.arguments import is_real
from neko.backend.protocol import Backend
from neko.devices.storage.base import STORAGES, Storage, Stored
from neko.typing import Array


@STORAGES.register("one_sided")
@dataclass(frozen=True)
class OneSidedPair(Storage):
    r"""A weight as the difference of two conductances that only up pulses change, as in phase-change memory.

    .. math::
        w = (g^+ - g^-) \cdot scale, \qquad scale = w_{max} / (g_{max} - g_{min})

    A weight is increased by an up pulse on g⁺ and decreased by an up pulse on g⁻. Both grow, so that a pair is
    *refreshed* once one of them is in the last part of its range: read, reset, and programmed to the same weight with
    one of the two at its lower bound.

    Parameters
    ----------
    device : Device
        As for `Storage`; of its steps only those up are used.
    refresh : float
        Part of its range, above 0 and up to 1, that a conductance may use before the pair is refreshed.

    References
    ----------
    Burr et al. (2015), doi:10.1109/TED.2015.2439635; Nandakumar et al. (2020), doi:10.3389/fnins.2020.00406.
    """

    _: KW_ONLY
    refresh: float = 0.9

    signs = (1.0, -1.0)
    labels = ("g⁺", "g⁻")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reference != "middle":
            raise ValueError(f"reference={self.reference!r}: expected 'middle', since one-sided pulses balance nowhere")
        if not (is_real(self.refresh) and 0.0 < self.refresh <= 1.0):
            raise ValueError(f"refresh={self.refresh!r}: expected a part of the range, above 0 and up to 1")

    @property
    def reach(self) -> float:
        return self.device.g_max - self.device.g_min

    @property
    def pulse_size(self) -> float:
        return self.device.dg_min

    def directions(self, xp: Backend, direction: Array) -> tuple[Array, ...]:
        return xp.maximum(direction, 0.0), xp.maximum(-direction, 0.0)

    def program(self, xp: Backend, key: Array, weights: Array, w_max: Array | float) -> Stored:
        stored = super().program(xp, key, weights, w_max)
        return self.refreshed(xp, stored, xp.ones_like(weights) > 0.0)._replace(refreshes=xp.zeros_like(weights))

    def pulse(self, xp: Backend, key: Array, stored: Stored, direction: Array) -> Stored:
        moved = super().pulse(xp, key, stored, direction)
        plus, minus = (d.g > d.lower + self.refresh * (d.upper - d.lower) for d in moved.devices)
        return self.refreshed(xp, moved, xp.logical_and(direction != 0.0, xp.logical_or(plus, minus)))

    def refreshed(self, xp: Backend, stored: Stored, due: Array) -> Stored:
        """The same weights with one device of each pair that is due at its lower bound."""
        plus, minus = stored.devices
        weight = stored.held / stored.scale
        lowest = xp.maximum(plus.lower, minus.lower) + xp.zeros_like(weight)
        above = xp.where(due, lowest + xp.maximum(weight, 0.0), plus.g)
        below = xp.where(due, lowest + xp.maximum(-weight, 0.0), minus.g)
        devices = self.device.program(xp, plus, above), self.device.program(xp, minus, below)
        refreshes = stored.refreshes + xp.astype(due, xp.dtype)
        return self.read(xp, stored._replace(devices=devices, refreshes=refreshes))
