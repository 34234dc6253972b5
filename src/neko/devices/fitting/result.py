"""What a fit has found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from neko.devices.base import Device
from neko.devices.fitting.laws import grouped
from neko.devices.fitting.reading import Pulses


class Estimate(NamedTuple):
    """A constant with its interval of 95 %, NaN where the trains do not determine it; in siemens or without a unit."""

    name: str
    value: float
    low: float
    high: float
    unit: str = ""

    @property
    def determined(self) -> bool:
        """Whether there is an interval."""
        return bool(np.isfinite(self.low) and np.isfinite(self.high))


@dataclass(frozen=True)
class Fit:
    """A law with the constants that explain measured pulse trains best.

    Attributes
    ----------
    law : str
        Name of the law.
    kind : subclass of Device
    estimates : dict of str to Estimate
        The constants of the device, ``dg_min`` and ``up_down`` also as steps up and down; and noise of the measurement,
        which is not part of the device: ``read_noise`` in siemens, ``slow_noise`` with its correlation from pulse to
        pulse, ``slow_correlation``.
    residual : float
        Root mean square of the errors of predicting each conductance from those before, in siemens.
    loglikelihood, aicc, bic : float
        The log likelihood, and what it is with a penalty for the number of constants; the smallest is the best.
    measured, devices : int
        Numbers of conductances and of devices.
    undetermined : tuple of str
        Constants that the trains say nothing about.
    pulses : Pulses
        What was fitted.
    g_range, siemens : (float, float)
        Conductances between which the law was fitted, in the unit of the file and in siemens.
    compared : tuple of Fit
        All laws that were fitted, the best first.
    """

    law: str
    kind: type[Device]
    estimates: dict[str, Estimate]
    residual: float
    loglikelihood: float
    aicc: float
    bic: float
    measured: int
    devices: int
    undetermined: tuple[str, ...]
    pulses: Pulses = field(repr=False)
    g_range: tuple[float, float]
    siemens: tuple[float, float]
    compared: tuple[Fit, ...] = field(default=(), repr=False)

    @property
    def device(self) -> Device:
        """The device with these constants.

        Raises
        ------
        ValueError
            If a constant is not determined; the message names it.
        """
        if self.undetermined:
            raise ValueError(
                f"{self.law}: the trains do not determine {', '.join(self.undetermined)}; measure pulses that depend "
                "on it (both directions, most of the range, more of them), or give what is known of it, "
                f"fixed={{{self.undetermined[0]!r}: …}} (--fix {self.undetermined[0]}=…)"
            )
        return self.kind(**self.constants)

    @property
    def constants(self) -> dict[str, Any]:
        """The arguments of the device's constructor."""
        none = {"step_up", "step_down", "read_noise", "slow_noise", "slow_correlation"}
        return grouped({name: e.value for name, e in self.estimates.items() if name not in none})
