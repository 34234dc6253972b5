"""A Gaussian target with right and wrong drifts, chains on it, and the z-scores of their moments."""

from __future__ import annotations

import numpy as np

from neko.posterior import arviz

MEAN = np.array([1.0, -2.0, 0.5])
COVARIANCE = np.array([[1.0, 0.8, 0.2], [0.8, 1.5, -0.3], [0.2, -0.3, 0.6]])
Z = 4.5
"""Bound of a z-score: false alarms of a run of all tests are rarer than one in a thousand."""


def wrong(kind):
    """A drift that is no gradient."""
    angle = np.deg2rad(50.0)
    rotation = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    return {
        "exact": lambda xp, g: g,
        "rotated": lambda xp, g: xp.sum(xp.asarray(rotation) * g, axis=-1),
        "scaled": lambda xp, g: 0.2 * g,
        "sign": lambda xp, g: xp.sign(g),
        "zero": lambda xp, g: xp.zeros_like(g),
    }[kind]


def gaussian(xp, drift="exact"):
    """Target over two parameters, 'a' (2,) and 'b' (1,)."""
    precision, mean = xp.asarray(np.linalg.inv(COVARIANCE)), xp.asarray(MEAN)

    def target(position):
        away = xp.concat([position["a"], position["b"]], axis=0) - mean
        g = wrong(drift)(xp, -xp.sum(precision * away, axis=-1))
        return -0.5 * xp.sum(away * xp.sum(precision * away, axis=-1)), {"a": g[:2], "b": g[2:]}

    return target


def start(xp):
    return {"a": xp.asarray(MEAN[:2]), "b": xp.asarray(MEAN[2:])}


def run(xp, state, step, steps, seed=0):
    """Draws (steps, 3) and infos of a chain, ``state, info = step(key, state)``."""

    def move(carry, _):
        state, key = carry
        key, now = xp.unstack(xp.random.split(key))
        state, info = step(now, state)
        return (state, key), (xp.concat([state.position["a"], state.position["b"]], axis=0), info)

    chain = xp.jit(lambda state, key: xp.scan(move, (state, key), None, length=steps)[1])
    draws, info = chain(state, xp.random.key(seed))
    return np.array(xp.to_numpy(draws)), info


def z_scores(draws, mean=MEAN, covariance=COVARIANCE):
    """How many standard errors, by effective sample size, first and second moments are off."""
    draws = draws[len(draws) // 20 :]
    centred = draws - mean
    rows, columns = np.triu_indices(len(mean))
    moments = np.concatenate([centred, centred[:, rows] * centred[:, columns]], axis=1)
    expected = np.concatenate([np.zeros(len(mean)), covariance[rows, columns]])
    scores = []
    for values, want in zip(moments.T, expected, strict=True):
        ess = float(arviz().ess(values[None])) if values.std() > 0 else 1.0
        scores.append(abs(values.mean() - want) / max(values.std() / np.sqrt(ess), 1e-12))
    return np.array(scores)


def assert_right(draws):
    assert len(np.unique(draws[:, 0])) > len(draws) / 10, "the chain moves"
    scores = z_scores(draws)
    assert scores.max() < Z, scores
