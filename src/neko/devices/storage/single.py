"""One device per weight, and a reference."""

from __future__ import annotations

from dataclasses import dataclass

from neko.devices.storage.base import STORAGES, Storage


@STORAGES.register("single")
@dataclass(frozen=True)
class SingleDevice(Storage):
    r"""A weight as one conductance less a reference.

    .. math::
        w = (g - g_{ref}) \cdot scale, \qquad scale = 2\, w_{max} / (g_{max} - g_{min})

    Half the devices of a differential pair; the reference is a fixed conductance (``'middle'``), or a second array
    programmed once to each device's symmetry point, whose weight is then zero (``'symmetry_point'``).

    Parameters
    ----------
    device, reference
        As for `Storage`.
    """

    signs = (1.0,)
    labels = ("g",)

    @property
    def reach(self) -> float:
        return 0.5 * (self.device.g_max - self.device.g_min)
