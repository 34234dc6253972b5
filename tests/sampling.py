"""A Gaussian target with right and wrong drifts, and many chains on it whose law is known at every step.

A chain that starts in a draw of the target is there at every later step too, if the sampler is right. So thousands of
chains, each with its own start and its own key, are after a few steps as many independent draws: what they should be
is known exactly, with nothing to be estimated from the chain itself (Gandy & Scott 2020, arXiv 2001.06465).
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np

from neko.samplers.proposals import normals
from significance import FALSE_ALARM, MISSED, missed_normal, p_normal

MEAN = np.array([1.0, -2.0, 0.5])
COVARIANCE = np.array([[1.0, 0.8, 0.2], [0.8, 1.5, -0.3], [0.2, -0.3, 0.6]])
PRECISION = np.linalg.inv(COVARIANCE)
CHAINS, STEPS = 10_000, 10


def turned():
    """A rotation in the first two dimensions."""
    angle = np.deg2rad(50.0)
    return np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])


LINEAR = {"exact": np.eye(3), "rotated": turned(), "scaled": 0.2 * np.eye(3), "zero": np.zeros((3, 3))}
"""Drifts that are a matrix times the gradient; but for the first they are no gradient of the target."""


def gaussian(xp, drift="exact"):
    """Target over two parameters, 'a' (2,) and 'b' (1,); the drift is of `LINEAR`, or the gradient's sign."""
    precision, mean = xp.asarray(PRECISION), xp.asarray(MEAN)
    wrong = xp.sign if drift == "sign" else lambda g: xp.sum(xp.asarray(LINEAR[drift]) * g, axis=-1)

    def target(position):
        away = xp.concat([position["a"], position["b"]], axis=0) - mean
        g = wrong(-xp.sum(precision * away, axis=-1))
        return -0.5 * xp.sum(away * xp.sum(precision * away, axis=-1)), {"a": g[:2], "b": g[2:]}

    return target


def start(xp):
    return {"a": xp.asarray(MEAN[:2]), "b": xp.asarray(MEAN[2:])}


def mapped(xp):
    """The backend as it runs under the ``vmap`` of its framework, and this ``vmap``."""
    if xp.name == "jax":
        import jax

        return xp, jax.vmap
    if xp.name == "tensorflow":
        import tensorflow as tf

        return xp, lambda f: lambda *arguments: tf.vectorized_map(lambda one: f(*one), arguments)
    import torch

    xp = copy.copy(xp)
    xp.unstack = torch.unbind  # array-api-compat's moves an axis, for which torch's vmap has no rule
    return xp, torch.func.vmap


class Ends(NamedTuple):
    """Where every chain came to, (chains, parameters), and the mean of its probabilities of acceptance, (chains,)."""

    draws: np.ndarray
    acceptance: np.ndarray


def run(xp, init, step, starts, *data, steps=STEPS, seed=0):
    """The ends of chains with ``state = init(position, *data)`` and ``state, acceptance = step(key, state, *data)``.

    `starts` and `data` have an entry a chain in front; `init` and `step` see one chain.
    """
    position, data = {n: xp.asarray(w) for n, w in starts.items()}, [xp.asarray(a) for a in data]
    state, advance = together(xp, init, step, len(next(iter(starts.values()))), position, *data)
    rates = []
    for t in range(steps):
        state, acceptance = advance(xp.random.key(seed + t), state, *data)
        rates.append(xp.to_numpy(acceptance))
    draws = np.concatenate([xp.to_numpy(state.position[n]) for n in sorted(starts)], axis=1)
    return Ends(draws, np.mean(rates, axis=0))


def together(xp, init, step, chains, position, *data):
    """The first state of `chains` chains, and their step from one key as ``(key, state, *data) -> …``."""
    _, vmap = mapped(xp)
    step = vmap(step)
    advance = xp.jit(lambda key, state, *data: step(xp.random.split(key, chains), state, *data))
    return xp.jit(vmap(init))(position, *data), advance


def exact_draws(mean=MEAN, covariance=COVARIANCE, chains=CHAINS, seed=0):
    return np.random.default_rng(seed).multivariate_normal(mean, covariance, size=chains, method="cholesky")


def halves(w):
    """As the target has its parameters."""
    return {"a": w[..., :2], "b": w[..., 2:]}


def law_of_linear(move, noise, steps=STEPS, mean=MEAN, covariance=COVARIANCE):
    """Mean and covariance after ``x ← MEAN + move (x - MEAN) + N(0, noise)`` from N(mean, covariance)."""
    away = mean - MEAN
    for _ in range(steps):
        away, covariance = move @ away, move @ covariance @ move.T + noise
    return MEAN + away, covariance


def numpy_of(xp, parts):
    return np.concatenate([xp.to_numpy(parts["a"]), xp.to_numpy(parts["b"])])


def single_steps(xp, drift, method, epsilon, **options):
    """Steps from beside the mean, in NumPy: where from, the noise, the uniform number, the target, what came of it."""
    target = gaussian(xp, drift)
    here = MEAN + np.array([0.2, -0.1, 0.1])
    state = method.init(xp, {n: xp.asarray(w) for n, w in halves(here).items()}, target)

    def numpy_target(w):
        logdensity, g = target({n: xp.asarray(part) for n, part in halves(w).items()})
        return float(logdensity), numpy_of(xp, g)

    for seed in range(1, 6):
        key = xp.random.key(seed)
        after, info = method.step(xp, key, state, target, xp.asarray(epsilon), **options)
        keys = xp.random.split(key)
        noise = numpy_of(xp, normals(xp, keys[0], state.position))
        yield here, noise, float(xp.random.uniform(keys[1], ())), numpy_target, numpy_of(xp, after.position), info


def assert_chosen(probability, uniform, old, new, found, info):
    """By the accept test: the proposal where the uniform number is below the probability, else the old position."""
    np.testing.assert_allclose(float(info.acceptance_probability), probability, rtol=1e-9)
    assert bool(info.accepted) == (uniform < probability)
    np.testing.assert_allclose(found, new if uniform < probability else old, rtol=1e-12)
    return bool(info.accepted), probability < 1.0


def assert_right(starts, ends, slowest=0.9):
    """Chains from exact draws are at exact draws, have moved in every direction, and the accept test has had work.

    The false alarm of the first is in `significance`. By Hoeffding's inequality a mean of 10,000 independent numbers
    in [0, 1] is further than 0.03 from its expectation with a probability below 4e-8, and the rates of acceptance are
    that far from the bounds here; the correlation of a chain's end with its start, measured with an error of 0.01 or
    less, is 0.1 and more from its bound. A chain that stays where it is has 1.
    """
    assert p_normal(ends.draws, MEAN, COVARIANCE) > FALSE_ALARM
    for begin, end in zip(starts.T, ends.draws.T, strict=True):
        assert np.corrcoef(begin, end)[0, 1] < slowest
    assert 0.2 < ends.acceptance.mean() < 0.95


def assert_found_out(draws, mean, covariance):
    """The draws have the law that was computed for the control, with which they do not pass for the target."""
    assert missed_normal(CHAINS, MEAN, COVARIANCE, mean, covariance) < MISSED
    assert p_normal(draws, mean, covariance) > FALSE_ALARM
    assert p_normal(draws, MEAN, COVARIANCE) < FALSE_ALARM
