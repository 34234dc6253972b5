"""The law and the constants of a measured device."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from neko.arguments import is_real
from neko.devices.base import DEVICES, Device
from neko.devices.fitting import laws, trains
from neko.devices.fitting.estimates import estimates
from neko.devices.fitting.problem import Problem
from neko.devices.fitting.reading import UNITS, Pulses, read
from neko.devices.fitting.result import Fit
from neko.devices.fitting.solve import Solution, solve

FEWEST = 10
"""Conductances a fit needs."""


def fit(
    pulses: str | Path | Pulses,
    model: Any = "auto",
    *,
    g_range: tuple[float, float] | str | None = None,
    siemens: tuple[float, float] | None = None,
    fixed: Mapping[str, float] | None = None,
    **reading: Any,
) -> Fit:
    """The constants of a step law that explain measured pulse trains best, and the law if none is given.

    Each conductance is predicted from those measured before, by a Kalman filter of the device with noise of three
    kinds: of pulses (``dg_min_std``), of single measurements, and, where that pays, of measurements over some pulses.
    Constants minimise the squares of the errors by their variances, noise maximises the likelihood, in turn. With
    several devices each has its own steps up and down, whose mean is ``dg_min`` and whose spread is ``dg_min_dtod``;
    the rest of a law is common to all.

    Parameters
    ----------
    pulses : str, Path or Pulses
        A CSV file, or what `read` returns.
    model : str or subclass of Device
        A law by name, a class, or ``auto``: of all laws the one with the smallest Bayesian information criterion.
    g_range : (float, float) or 'fit', optional
        The bounds of the device, in the unit of the file, by default the smallest and the largest conductance measured.
        With ``fit`` the bounds are constants to be found.
    siemens : (float, float), optional
        What the ends of the range are in siemens, for files of unit ``relative``.
    fixed : dict of str to float, optional
        Constants that are known; ``step_up`` and ``step_down`` in siemens.
    **reading
        Options of `read` for a file: ``columns``, ``unit``, ``direction``.

    Raises
    ------
    ValueError
        For a file that cannot be read, with its line, too few conductances, or an option that does not fit the file.
    ImportError
        Without SciPy.

    Notes
    -----
    The spread of the range from device to device (``g_max_dtod``) is not estimated. Intervals are those of a normal
    approximation. A law of one's own must depend on the conductance only by its place between the bounds, and use only
    those functions of `xp` that NumPy has too.
    """
    pulses = read(pulses, **reading) if isinstance(pulses, str | Path) else pulses
    if pulses.relative and siemens is None:
        raise ValueError(
            "the conductances have no unit: give siemens=(1e-6, 1e-4), what the smallest and the largest of the range "
            "stand for (--siemens 1e-6,1e-4)"
        )
    ends = trains.span(pulses.trains) if g_range is None or g_range == "fit" else pair("g_range", g_range)
    low, high = (UNITS[pulses.unit] * g for g in ends) if siemens is None else pair("siemens", siemens)
    batch = trains.batch(pulses.trains, pair("the measured range", ends))
    if batch.measured < FEWEST:
        raise ValueError(f"{batch.measured} conductances after pulses: expected {FEWEST} or more")
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    known = {
        name: value / half if name in laws.STEPS else (value - middle) / half if name in laws.BOUNDS else value
        for name, value in (fixed or {}).items()
    }
    kinds = dict(DEVICES) if isinstance(model, str) and model == "auto" else {named(model): resolved(model)}

    def fitted(name: str, slow: bool) -> tuple[Fit, Solution]:
        problem = Problem(kinds[name], batch, known, lowest=-middle / half if g_range == "fit" else None)
        found = solve(problem, slow=slow)
        k, n = len(found.x) + len(found.noise_error), batch.measured
        return Fit(
            name,
            kinds[name],
            estimates(problem, found, low, high),
            half * found.error,
            found.loglikelihood,
            -2.0 * found.loglikelihood + 2.0 * k + 2.0 * k * (k + 1) / max(n - k - 1, 1),
            -2.0 * found.loglikelihood + k * float(np.log(n)),
            n,
            problem.devices,
            tuple(found.undetermined),
            pulses,
            ends,
            (low, high),
        ), found

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of constants that a search tries and leaves
        results = [fitted(name, False) for name in kinds]
        if np.isfinite(ranked(results)[0][1].noise_error[1]):
            # there is noise of measurements, part of which may last
            results += [fitted(name, True) for name in kinds]
    best: dict[str, Fit] = {}
    for found, _ in ranked(results):
        best.setdefault(found.law, found)
    first = next(iter(best.values()))
    return replace(first, compared=tuple(best.values()))


def ranked(results: list[tuple[Fit, Solution]]) -> list[tuple[Fit, Solution]]:
    """The best first; laws with constants that are not determined come last."""
    return sorted(results, key=lambda result: (bool(result[0].undetermined), result[0].bic))


def pair(name: str, values: Any) -> tuple[float, float]:
    """Two numbers in order."""
    two = isinstance(values, tuple | list) and len(values) == 2 and all(map(is_real, values))
    if not (two and values[0] < values[1]):
        raise ValueError(f"{name}={values!r}: expected two conductances, the smaller one first")
    return float(values[0]), float(values[1])


def named(model: Any) -> str:
    return model if isinstance(model, str) else getattr(model, "__name__", repr(model))


def resolved(model: Any) -> type[Device]:
    """A class of devices from its name, or itself."""
    kind = DEVICES.get(model) if isinstance(model, str) else model
    if not (isinstance(kind, type) and issubclass(kind, Device)):
        raise TypeError(f"model={model!r}: expected 'auto', one of {[*DEVICES]!r}, or a subclass of Device")
    return kind
