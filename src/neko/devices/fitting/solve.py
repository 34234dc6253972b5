"""The most likely constants of a law, by least squares on the errors of its predictions."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from neko.devices.fitting.problem import Problem

ROUNDS = 8
"""Largest number of alternations between the constants and the noise."""
ENOUGH = 1e-2
"""Change of the log likelihood at which they end."""
SMALLEST, LARGEST = np.log(1e-5), np.log(1e2)
"""Limits of the logarithms of σ and τ."""
FLAT = 2.0
"""Singular value below which a combination of constants is not determined: a change by its whole scale is then within
what 95 of 100 repeated measurements would allow."""


class Solution(NamedTuple):
    """Constants `x` with their covariance; noise, as in `filter.Constants`, with standard errors of the logarithms of
    σ, τ and the slow part; the log likelihood; the root mean square of the errors; and the names of constants that the
    trains do not determine."""

    x: np.ndarray
    covariance: np.ndarray
    noise: np.ndarray
    noise_error: np.ndarray
    loglikelihood: float
    error: float
    undetermined: list[str]


def scipy_optimize() -> Any:
    """scipy.optimize, or an error that says how to install it."""
    try:
        from scipy import optimize
    except ImportError as error:
        raise ImportError("a fit needs SciPy: pip install 'neko-learning[devices]'") from error
    return optimize


def solve(problem: Problem, *, slow: bool = False) -> Solution:
    """The constants and the noise; of several beginnings, with much or little of each noise, the best after a round.

    Constants, for which variances are held, and noise, for which constants are, follow in turn. With `slow`, noise of
    measurements has a part that lasts for some pulses.
    """
    first = first_noise(problem, slow)
    starts = first + np.log(0.05) * np.concatenate([np.zeros((1, len(first))), np.eye(len(first))[:2]])
    x, logs, best = max((improved(problem, problem.start, logs) for logs in starts), key=lambda found: found[2])
    for _ in range(ROUNDS):
        x, logs, value = improved(problem, x, logs)
        if value - best < ENOUGH:
            break
        best = value
    return solved(problem, x, logs, value)


def improved(problem: Problem, x: np.ndarray, logs: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """One round: better constants, then better noise, and the log likelihood."""
    x = constants(problem, x, logs)
    return x, *noises(problem, x, logs)


def solved(problem: Problem, x: np.ndarray, logs: np.ndarray, value: float) -> Solution:
    """Constants and noise with their errors, and what is not determined."""
    error, variance, slopes = problem.derivatives(x, noise_of(logs))
    slopes /= np.sqrt(variance)[:, None]
    _, s, rows = np.linalg.svd(slopes * problem.scale, full_matrices=False)
    flat = s < FLAT
    loose = np.abs(rows[flat]).max(axis=0, initial=0.0) > 0.3
    inverse = np.where(flat, 0.0, 1.0 / np.maximum(s, FLAT))
    covariance = (rows.T * inverse**2) @ rows * np.outer(problem.scale, problem.scale)
    names = list(dict.fromkeys(name for name, is_loose in zip(problem.names, loose, strict=True) if is_loose))
    size = float(np.sqrt(np.mean(error**2)))
    return Solution(x, covariance, noise_of(logs), noise_errors(problem, x, logs), float(value), size, names)


def noise_of(logs: np.ndarray) -> np.ndarray:
    """σ, τ, the deviation of slow noise and its correlation, (…, 4), from the vectors that a search runs over."""
    first = np.exp(logs[..., :3])
    if logs.shape[-1] == 2:
        return np.concatenate([first, np.zeros_like(first)], axis=-1)
    return np.concatenate([first, 1.0 / (1.0 + np.exp(-logs[..., 3:]))], axis=-1)


def constants(problem: Problem, x: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """Least squares of the errors, divided by the square roots of their variances at the given constants."""
    noise = noise_of(logs)
    _, variance, _ = problem.derivatives(x, noise)
    weight = 1.0 / np.sqrt(variance)
    last: dict[bytes, Any] = {}

    def computed(x: np.ndarray) -> Any:
        if (key := x.tobytes()) not in last:
            error, _, slopes = problem.derivatives(x, noise)
            last.clear()
            last[key] = weight * error, weight[:, None] * slopes
        return last[key]

    found = scipy_optimize().least_squares(
        lambda x: computed(x)[0],
        np.clip(x, problem.least, problem.most),
        jac=lambda x: computed(x)[1],
        bounds=(problem.least, problem.most),
        x_scale=problem.scale,
        max_nfev=8,
        xtol=1e-5,
        ftol=1e-6,
    )
    return np.asarray(found.x)


def first_noise(problem: Problem, slow: bool) -> np.ndarray:
    """From the variance of increments, and their correlation with the next, which is that of noise of measurements."""
    change = np.diff(problem.trains.g, axis=0)
    change = change - np.nanmean(change, axis=0)
    total, next_to_it = np.nanmean(change**2), np.nanmean(change[1:] * change[:-1]) if len(change) > 1 else 0.0
    read = np.clip(-next_to_it, 1e-4 * total, 0.5 * total) + 1e-12
    step = np.mean(problem.start[: 2 * problem.devices])
    std = np.sqrt(max(total - 2.0 * read, 1e-3 * total) + 1e-12) / step
    found = np.clip(np.log([std, np.sqrt(read), np.sqrt(read)]), SMALLEST, LARGEST)
    return np.array([*found, 1.0]) if slow else found[:2]


def noises(problem: Problem, x: np.ndarray, logs: np.ndarray) -> tuple[np.ndarray, float]:
    """The most likely noise for given constants, and the log likelihood."""
    h, axes = 1e-4, np.eye(len(logs))

    def cost(z: np.ndarray) -> tuple[float, np.ndarray]:
        values = likelihoods(problem, x, z + h * np.concatenate([0.0 * axes[:1], axes, -axes]))
        ahead, behind = np.split(values[1:], 2)
        return -values[0], -(ahead - behind) / (2.0 * h)

    limits = [(SMALLEST, LARGEST)] * 3 + [(-5.0, 8.0)]
    found = scipy_optimize().minimize(
        cost, logs, jac=True, method="L-BFGS-B", bounds=limits[: len(logs)], options={"maxiter": 20, "ftol": 1e-7}
    )
    return np.asarray(found.x), -float(found.fun)


def likelihoods(problem: Problem, x: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """Log likelihood with several vectors of noise."""
    return problem.predict(np.tile(x, (len(logs), 1)), noise_of(logs)).loglikelihood


def noise_errors(problem: Problem, x: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """Standard errors of the logarithms, infinite for one that the trains do not determine."""
    h, n = 0.02, len(logs)
    pairs = [(i, j) for i in range(n) for j in range(i + 1)]
    axes = h * np.eye(n)
    corners = [s * axes[i] + t * axes[j] for i, j in pairs for s, t in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
    values = likelihoods(problem, x, logs + np.array(corners)).reshape(-1, 4)
    information = np.zeros((n, n))
    for (i, j), (pp, pm, mp, mm) in zip(pairs, values, strict=True):
        information[i, j] = information[j, i] = -(pp - pm - mp + mm) / (4.0 * h * h)
    free, errors = np.diag(information) > 1.0, np.full(n, np.inf)
    errors[free] = np.sqrt(np.abs(np.diag(np.linalg.pinv(information[np.ix_(free, free)]))))
    return errors
