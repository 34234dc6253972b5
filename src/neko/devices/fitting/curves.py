"""Measured trains beside those of the fitted law."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neko.devices.fitting.result import Fit
from neko.devices.state import DeviceState


class Curve(NamedTuple):
    """A train in siemens: `measured` and of the `model` without noise, (pulses + 1,); whether most pulses are `up`."""

    measured: np.ndarray
    model: np.ndarray
    up: bool


def curves(fit: Fit) -> list[Curve]:
    """Every train of a fit. The model begins at the mean of the train's first measurements, one in a hundred."""
    constants = fit.constants
    low, high = fit.g_range
    ends = (fit.siemens[0], fit.siemens[1])
    device = fit.kind(**constants)
    steps = {1.0: device.dg_min * (1.0 + device.up_down), -1.0: device.dg_min * (1.0 - device.up_down)}
    found = []
    for train in fit.pulses.trains:
        measured = ends[0] + (train.g - low) / (high - low) * (ends[1] - ends[0])
        model = [float(np.nanmean(measured[: 1 + len(measured) // 100]))]
        for d in train.direction:
            state = DeviceState(np.array(model[-1]), steps[1.0], steps[-1.0], device.g_min, device.g_max, 0.0, ())
            moved = model[-1] + d * steps[float(d)] * float(device.shape(np, state, d > 0.0))  # type: ignore[arg-type]
            model.append(min(max(moved, device.g_min), device.g_max))
        found.append(Curve(measured, np.array(model), bool(np.sum(train.direction) >= 0.0)))
    return found
