"""A law's free constants as one vector, and the errors of its predictions with their derivatives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neko.devices.base import Device
from neko.devices.fitting import laws
from neko.devices.fitting.filter import Constants, Predictions, predictions
from neko.devices.fitting.trains import Batch

DIFFERENCE = 1e-5
"""Relative to the scale of a constant, for derivatives."""


class Problem:
    """Trains and a law, with positions between the bounds of the trains, -1 to 1, as conductances.

    Attributes
    ----------
    names : list of str
        The free constants: ``step_up`` and ``step_down``, once for each device, then the law's own, then the bounds.
    start, least, most, scale : array (constants,)
        Where a fit begins, limits, and what counts as a large change of each.

    Parameters
    ----------
    law : subclass of Device
    trains : Batch
    fixed : dict of str to float
        Constants that are known, as positions.
    lowest : float, optional
        Position of zero conductance; with it the bounds are free constants too.
    """

    def __init__(
        self, law: type[Device], trains: Batch, fixed: Mapping[str, float], *, lowest: float | None = None
    ) -> None:
        self.law, self.trains, self.fixed = law, trains, dict(fixed)
        self.devices = 1 + int(trains.device.max())
        own, inf = laws.own(law), np.inf
        rows = [(name, s, 0.0, inf, s) for name in laws.STEPS for s in self.steps(1.0 if name == "step_up" else -1.0)]
        rows += [(c.name, c.start, c.least, inf, 1.0) for c in own]
        if lowest is not None:
            # a little beyond what was measured, where derivatives with respect to bounds are not zero
            rows += [("g_min", max(-1.1, lowest), lowest, 0.5, 1.0), ("g_max", 1.1, -0.5, inf, 1.0)]
        expected = list(dict.fromkeys(row[0] for row in rows))
        if unknown := [name for name in self.fixed if name not in expected]:
            raise ValueError(f"fixed={unknown!r}: {law.__name__} has the constants {expected!r}")
        rows = [row for row in rows if row[0] not in self.fixed]
        self.names = [row[0] for row in rows]
        self.start, self.least, self.most, self.scale = np.array([row[1:] for row in rows]).T
        self.groups = list(dict.fromkeys(self.names))
        """Names once each: steps of all devices are moved together, since each concerns its own trains."""

    def steps(self, sign: float) -> list[float]:
        """A first guess of each device's step, the mean change of its trains by a pulse in one direction."""
        found = []
        for k in range(self.devices):
            g, direction = self.trains.g[:, self.trains.device == k], self.trains.direction[:, self.trains.device == k]
            change = np.diff(g, axis=0)[direction == sign]
            mean = sign * np.nanmean(change) if np.isfinite(change).any() else 0.0
            found.append(max(float(mean), 1e-4))
        return found

    def constants(self, variants: np.ndarray, noise: np.ndarray) -> Constants:
        """The constants of variants (variants, constants), with noise (variants, 4)."""
        values: dict[str, Any] = {name: np.full((1, 1), value) for name, value in self.fixed.items()}
        for name in self.groups:
            columns = variants[:, [k for k, other in enumerate(self.names) if other == name]]
            values[name] = columns[:, self.trains.device] if name in laws.STEPS else columns
        own = {name: v for name, v in values.items() if name not in (*laws.STEPS, *laws.BOUNDS)}
        lower, upper = values.get("g_min", np.full((1, 1), -1.0)), values.get("g_max", np.full((1, 1), 1.0))
        up, down = (values[name] for name in laws.STEPS)
        return Constants(laws.grouped(own), up, down, lower, upper, noise)

    def predict(self, variants: np.ndarray, noise: np.ndarray) -> Predictions:
        """Predictions of variants, (variants, constants), with noise, (variants, 4)."""
        return predictions(self.law, self.constants(variants, noise), self.trains)

    def derivatives(self, x: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Errors (measurements,) at constants `x`, their variances, and their derivatives (measurements, constants)."""
        steps = DIFFERENCE * self.scale
        variants = np.tile(x, (1 + len(self.groups), 1))
        for k, name in enumerate(self.groups):
            variants[1 + k] += np.where(np.array(self.names) == name, steps, 0.0)
        found = self.predict(variants, np.tile(noise, (len(variants), 1)))
        known = np.isfinite(found.error[:, 0])
        slopes = np.zeros((int(known.sum()), len(x)))
        trains = np.broadcast_to(self.trains.device, known.shape)[known]
        for column, name in enumerate(self.names):
            k = 1 + self.groups.index(name)
            change = ((found.error[:, k] - found.error[:, 0])[known]) / steps[column]
            if name in laws.STEPS:
                device = [j for j, other in enumerate(self.names) if other == name].index(column)
                change = np.where(trains == device, change, 0.0)
            slopes[:, column] = change
        return found.error[:, 0][known], found.variance[:, 0][known], slopes
