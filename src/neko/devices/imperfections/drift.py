"""Conductances that fall with time by a power law."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from neko.arguments import check_number
from neko.backend.protocol import Backend
from neko.devices.imperfections.base import IMPERFECTIONS, Imperfection
from neko.devices.state import DeviceState
from neko.typing import Array


@IMPERFECTIONS.register("drift")
@dataclass(frozen=True)
class Drift(Imperfection):
    r"""A conductance falls by a power of the time t since it was last written, as in phase-change memory.

    .. math::
        g(t) = g(0) \left(\frac{t + t_0}{t_0}\right)^{-ν}

    It does not fall below the device's lower bound.

    Parameters
    ----------
    nu : float
        Exponent ν; about 0.05 in phase-change memory.
    nu_dtod : float
        Standard deviation of ν from device to device, drawn once; draws below zero are set to zero.
    t0 : float
        t₀ in seconds, the time after a write at which a conductance counts as written.

    References
    ----------
    Le Gallo et al. (2018), doi:10.1002/aelm.201700627; Joshi et al. (2020), doi:10.1038/s41467-020-16108-9.
    """

    ages: ClassVar[bool] = True

    _: KW_ONLY
    nu: float = 0.05
    nu_dtod: float = 0.0
    t0: float = 1.0

    def __post_init__(self) -> None:
        for name in ("nu", "nu_dtod"):
            object.__setattr__(self, name, check_number(name, getattr(self, name)))
        object.__setattr__(self, "t0", check_number("t0", self.t0, positive=True))

    def init(self, xp: Backend, key: Array, state: DeviceState) -> Any:
        """Seconds since each device was written, and its exponent."""
        size = tuple(state.g.shape)
        spread = self.nu_dtod * xp.random.normal(key, size) if self.nu_dtod else xp.zeros(())
        return xp.zeros(size), xp.maximum(self.nu + spread, 0.0)

    def settle(self, xp: Backend, key: Array | None, moved: DeviceState, own: Any, written: Array) -> tuple[Array, Any]:
        age, exponent = own
        return moved.g, (xp.where(written, xp.zeros_like(age), age), exponent)

    def elapse(self, xp: Backend, state: DeviceState, own: Any, seconds: float) -> tuple[Array, Any]:
        age, exponent = own
        older = age + seconds
        lost = xp.exp(-exponent * xp.log((older + self.t0) / (age + self.t0)))
        return xp.maximum(state.g * lost, state.lower), (older, exponent)
