"""Differential pair: two devices per weight."""

from __future__ import annotations

from dataclasses import dataclass

from neko.devices.storage.base import STORAGES, Storage


@STORAGES.register("pair")
@dataclass(frozen=True)
class DifferentialPair(Storage):
    r"""A weight as the difference of two conductances.

    .. math::
        w = (g^+ - g^-) \cdot scale, \qquad scale = w_{max} / (g_{max} - g_{min})

    A weight is increased by an up pulse on g⁺ and a down pulse on g⁻, and decreased by the opposite pulses; one such
    pair of pulses changes it by ``2 Δ scale`` at mid-range. With ``reference='symmetry_point'`` each conductance counts
    from its own symmetry point.

    Parameters
    ----------
    device, reference
        As for `Storage`.
    """

    signs = (1.0, -1.0)
    labels = ("g⁺", "g⁻")

    @property
    def reach(self) -> float:
        return self.device.g_max - self.device.g_min
