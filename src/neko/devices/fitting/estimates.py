"""Constants with intervals from the solution of a fit."""

from __future__ import annotations

import numpy as np

from neko.devices.fitting import laws
from neko.devices.fitting.problem import Problem
from neko.devices.fitting.result import Estimate
from neko.devices.fitting.solve import Solution

Z = 1.959964
"""Of 95 % of a normal distribution."""
NOISE = ("dg_min_std", "read_noise", "slow_noise")


def estimates(problem: Problem, found: Solution, low: float, high: float) -> dict[str, Estimate]:
    """The constants in siemens, for positions between conductances `low` and `high`."""
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    names = np.array(problem.names)
    rows = [Estimate("g_min", low, low, low, "S"), Estimate("g_max", high, high, high, "S")]
    for name in (*laws.BOUNDS, *laws.STEPS):
        if name in problem.fixed:
            value = half * problem.fixed[name] + (middle if name in laws.BOUNDS else 0.0)
            rows.append(Estimate(name, value, value, value, "S"))
    rows += steps(problem, found, half)
    for k in np.flatnonzero(~np.isin(names, laws.STEPS)):
        name, error = str(names[k]), Z * np.sqrt(found.covariance[k, k])
        scale, offset, unit = (half, middle, "S") if name in laws.BOUNDS else (1.0, 0.0, "")
        value = offset + scale * found.x[k]
        row = interval(name, value, scale * error, unit, found)
        rows.append(row._replace(low=max(row.low, offset + scale * float(problem.least[k]))) if row.determined else row)
    for name, value in problem.fixed.items():
        if name not in (*laws.STEPS, *laws.BOUNDS):
            rows.append(Estimate(name, value, value, value))
    found_rows = {row.name: row for row in rows}
    return {**found_rows, **derived(found_rows, problem, found), **noise(problem, found, half)}


def interval(name: str, value: float, error: float, unit: str, found: Solution) -> Estimate:
    """A normal interval, or none for a constant that is not determined."""
    error = np.nan if name in found.undetermined else error
    return Estimate(name, float(value), float(value - error), float(value + error), unit)


def steps(problem: Problem, found: Solution, half: float) -> list[Estimate]:
    """Mean steps up and down over the devices; of several their own spread tells how well the mean is known."""
    rows = []
    for name in laws.STEPS:
        at = [k for k, other in enumerate(problem.names) if other == name]
        if not at:
            continue
        values, variances = half * found.x[at], half**2 * np.diag(found.covariance)[at]
        error = Z * np.sqrt(variances[0])
        if len(at) > 1:
            error = student(len(at) - 1) * np.sqrt(max(np.var(values, ddof=1), np.mean(variances)) / len(at))
        rows.append(interval(name, float(np.mean(values)), error, "S", found))
    return rows


def student(freedom: int) -> float:
    """Quantile of 97.5 % of Student's distribution."""
    from scipy import stats

    return float(stats.t.ppf(0.975, freedom))


def derived(rows: dict[str, Estimate], problem: Problem, found: Solution) -> dict[str, Estimate]:
    """Δ, its asymmetry, and its spread from device to device."""
    up, down = (rows[name] for name in laws.STEPS)
    u, d = up.value, down.value
    errors = np.array([0.5 * (e.high - e.low) for e in (up, down)])
    mean, asymmetry = 0.5 * (u + d), (u - d) / (u + d)
    error = float(np.hypot(*errors)) / 2.0
    lopsided = 2.0 * float(np.hypot(d * errors[0], u * errors[1])) / (u + d) ** 2
    result = {
        "dg_min": Estimate("dg_min", mean, mean - error, mean + error, "S"),
        "up_down": Estimate("up_down", asymmetry, asymmetry - lopsided, asymmetry + lopsided),
    }
    if problem.devices > 1:
        result["dg_min_dtod"] = spread(problem, found)
    return result


def spread(problem: Problem, found: Solution) -> Estimate:
    """Standard deviation of the devices' steps, relative to their mean, less what the errors of the steps explain."""
    from scipy import stats

    total, own, freedom = 0.0, 0.0, 0
    for name in laws.STEPS:
        at = [k for k, other in enumerate(problem.names) if other == name]
        if at:
            mean = np.mean(found.x[at])
            total += (len(at) - 1) * np.var(found.x[at], ddof=1) / mean**2
            own += (len(at) - 1) * np.mean(np.diag(found.covariance)[at]) / mean**2
            freedom += len(at) - 1
    quantiles = (freedom, stats.chi2.ppf(0.975, freedom), stats.chi2.ppf(0.025, freedom))
    value, low, high = (float(np.sqrt(max(total / q - own / freedom, 0.0))) for q in quantiles)
    return Estimate("dg_min_dtod", value, low, high)


def noise(problem: Problem, found: Solution, half: float) -> dict[str, Estimate]:
    """Noise of pulses and of measurements; its logarithm is taken to be normal.

    The most likely noise is too small by what as many constants as there are have explained of it.
    """
    measured = problem.trains.measured
    grown = np.sqrt(measured / max(measured - len(found.x), 1))
    result = {}
    for name, value, error in zip(NOISE, found.noise, found.noise_error, strict=False):
        scale, unit = (1.0, "") if name == "dg_min_std" else (half, "S")
        if np.isfinite(error):
            size, factor = scale * float(grown * value), float(np.exp(Z * error))
            result[name] = Estimate(name, size, size / factor, size * factor, unit)
        else:  # too small to be seen
            result[name] = Estimate(name, 0.0, 0.0, scale * float(value), unit)
    if len(found.noise_error) > 2:
        result["slow_correlation"] = Estimate("slow_correlation", float(found.noise[3]), np.nan, np.nan)
    return result
