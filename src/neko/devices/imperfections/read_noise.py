"""Noise of every read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from neko.arguments import check_number
from neko.backend.protocol import Backend
from neko.devices.imperfections.base import IMPERFECTIONS, Imperfection
from neko.devices.state import DeviceState
from neko.typing import Array


@IMPERFECTIONS.register("read_noise")
@dataclass(frozen=True)
class ReadNoise(Imperfection):
    r"""Every forward pass reads each conductance with fresh noise.

    .. math::
        g_{read} = g + σ\, (g_{max} - g_{min})\, ξ, \qquad ξ \sim N(0, 1)

    One draw holds for all examples and time steps of a batch. The gradient is that at the weights that were read; the
    devices keep theirs.

    Parameters
    ----------
    std : float
        σ, relative to the device's range.
    """

    noisy: ClassVar[bool] = True

    std: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "std", check_number("std", self.std))

    def read(self, xp: Backend, key: Array, state: DeviceState, g: Array) -> Array:
        return g + self.std * (state.upper - state.lower) * xp.random.normal(key, tuple(g.shape))
