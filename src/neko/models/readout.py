"""Leaky linear readout."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from neko.arguments import check_integer
from neko.backend.protocol import Backend
from neko.cells.constants import flag, positive, settle
from neko.models.asymmetric import product
from neko.typing import Array


@dataclass(frozen=True)
class LeakyReadout:
    r"""Output neurons that integrate the emissions of the last layer.

    .. math::
        f_t = κ f_{t-1} + c\, z_t W_{out}, \qquad y_t = f_t + b_{out}

    with ``κ = exp(-dt/tau_out)`` and ``c = 1 - κ`` (or 1 without `input_scaling`). The bias is not filtered.

    Parameters
    ----------
    units : int
        Number of outputs.
    tau_out : float or None
        Time constant in ms; None is a readout without memory, κ = 0.
    input_scaling : bool
        Whether c is ``1 - κ``, so that a constant drive settles at its own value.
    dt : float
        Time step in ms.
    """

    units: int
    _: KW_ONLY
    tau_out: float | None = 20.0
    input_scaling: bool = True
    dt: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "units", check_integer("outputs", self.units))
        settle(self, None, positive, "dt", *([] if self.tau_out is None else ["tau_out"]))
        settle(self, None, flag, "input_scaling")

    @property
    def kappa(self) -> float:
        """Decay factor κ of one step."""
        return 0.0 if self.tau_out is None else math.exp(-self.dt / self.tau_out)

    @property
    def gain(self) -> float:
        """Factor c of the drive."""
        return 1.0 - self.kappa if self.input_scaling else 1.0

    def outputs(self, xp: Backend, params: dict[str, Any], z: Array, f: Array) -> tuple[Array, Array]:
        """Outputs y (time, batch, units) for emissions `z` (time, batch, n); also the last f."""
        drive = self.scaled(product(xp, xp.project, z, params["readout.w_out"]))
        f, filtered = leaky_filter(xp, self.kappa, drive, f)
        return f, filtered + params["readout.b_out"]

    def after(self, xp: Backend, params: dict[str, Array], z: Array, f: Array) -> Array:
        """The last f alone: a product of the emissions' weighted sum, ``κ^T f + c (Σ_t κ^{T-1-t} z_t) W_out``."""
        ages = np.arange(z.shape[0] - 1, -1, -1.0)
        weight = xp.zeros(z.shape[:2]) + xp.reshape(xp.asarray(self.kappa**ages), (-1, 1))
        drive = xp.weighted_sum(z, weight) @ params["readout.w_out"]
        return self.kappa ** z.shape[0] * f + self.scaled(drive)

    def scaled(self, drive: Array) -> Array:
        """The drive times c."""
        return self.gain * drive if self.input_scaling else drive

    def credit(self, xp: Backend, error: Array, later: Array | None = None) -> Array:
        """Future credit ∂E/∂(z_t W_out), (time, batch, units): the error at step t and its filtered later ones; `later`
        (batch, units) is the credit of the step after the last, zero at the end of a sequence."""
        scaled = self.scaled(error)
        later = xp.zeros_like(scaled[0]) if later is None else later
        return leaky_filter(xp, self.kappa, scaled, later, reverse=True)[1]


def leaky_filter(
    xp: Backend, kappa: float, drive: Array, start: Array, *, reverse: bool = False
) -> tuple[Array, Array]:
    """``f_t = κ f_{t-1} + drive_t`` along the leading axis; the last f and all of them."""
    if kappa == 0.0:
        return (drive[0] if reverse else drive[-1]), drive
    return xp.leaky_filter(kappa, drive, start, reverse)
