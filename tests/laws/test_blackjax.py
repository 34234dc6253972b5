"""MALA and HMC beside blackjax's on a logistic regression: two implementations of one kernel."""

from __future__ import annotations

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from neko import backend as backends
from neko.samplers import hmc, langevin
from neko.samplers.mass import Dense
from sampling import run
from significance import FALSE_ALARM, MISSED

CHAINS, TRANSITIONS, STEPS = 10_000, 8, 4
STEP_SIZES = {"mala": 0.03, "hmc": 0.25}
INVERSE_MASS = np.array([[0.6, 0.2, 0.0], [0.2, 1.5, -0.3], [0.0, -0.3, 0.9]])
RNG = np.random.default_rng(0)
X = RNG.standard_normal((80, 3))
SIGNED = np.where(RNG.uniform(size=80) < 1.0 / (1.0 + np.exp(-X @ [1.0, -2.0, 0.5])), 1.0, -1.0)[:, None] * X
STARTS = RNG.standard_normal((CHAINS, 3))


def density(prior=1.0):
    signed = jnp.asarray(SIGNED)
    return lambda w: -jnp.sum(jax.nn.softplus(-(signed @ w))) - 0.5 * jnp.sum(jnp.square(w)) / prior**2


def ours(xp, sampler, prior):
    """Ends of chains of the library, and their mean acceptance."""

    def target(position):
        value, gradient = jax.value_and_grad(density(prior))(position["w"])
        return value, {"w": gradient}

    method = {"mala": langevin, "hmc": hmc}[sampler]
    factor = np.linalg.cholesky(np.linalg.inv(INVERSE_MASS))
    options = {} if sampler == "mala" else {"steps": STEPS, "mass": Dense(xp.asarray(factor))}

    def step(key, state):
        state, info = method.step(xp, key, state, target, xp.asarray(STEP_SIZES[sampler]), **options)
        return state, info.acceptance_probability

    ends = run(xp, lambda w: method.init(xp, w, target), step, {"w": STARTS}, steps=TRANSITIONS)
    return ends.draws, ends.acceptance.mean()


def theirs(sampler):
    """The same of blackjax."""
    size = STEP_SIZES[sampler]
    chosen = {
        "mala": lambda: blackjax.mala(density(), size),
        "hmc": lambda: blackjax.hmc(density(), size, jnp.asarray(INVERSE_MASS), STEPS),
    }[sampler]()

    def chain(key, start):
        state, info = jax.lax.scan(
            lambda s, k: chosen.step(k, s), chosen.init(start), jax.random.split(key, TRANSITIONS)
        )
        return state.position, jnp.mean(info.acceptance_rate)

    draws, acceptance = jax.jit(jax.vmap(chain))(jax.random.split(jax.random.key(1), CHAINS), jnp.asarray(STARTS))
    return np.asarray(draws), float(acceptance.mean())


def p_equal(a, b):
    """p-value of the same means and second moments (about one centre) of two sets of independent draws (n, d).

    Each difference of means is normal to a good approximation, the better since that of two equal laws has no skew; the
    least p-value times their number.
    """
    centre = 0.5 * (a.mean(axis=0) + b.mean(axis=0))
    moments = [np.concatenate([x, np.square(x - centre)], axis=1) for x in (a, b)]
    error = np.sqrt(sum(m.var(axis=0) / len(m) for m in moments))
    z = (moments[0].mean(axis=0) - moments[1].mean(axis=0)) / error
    return min(1.0, len(z) * 2.0 * stats.norm.sf(np.abs(z)).min())


def laplace(prior):
    """Maximum of the posterior, and the inverse of its curvature there."""
    with jax.enable_x64(True):
        f, w = density(prior), jnp.zeros(3)
        for _ in range(30):
            w = w - jnp.linalg.solve(jax.hessian(f)(w), jax.grad(f)(w))
        return np.asarray(w), np.linalg.inv(-np.asarray(jax.hessian(f)(w)))


def missed_prior(prior):
    """Probability that draws with another prior pass in `p_equal`, from their normal approximation at the maximum."""
    (mean, covariance), (other, spread) = laplace(1.0), laplace(prior)
    shift = np.abs(mean - other) / np.sqrt((np.diag(covariance) + np.diag(spread)) / CHAINS)
    return stats.norm.cdf(stats.norm.isf(FALSE_ALARM / 12.0) - shift).min()


@pytest.mark.slow
@pytest.mark.parametrize("sampler", STEP_SIZES)
def test_chains_of_one_kernel_have_one_law(sampler):
    """After any number of transitions from the same starts. The false alarm is that of `significance`; the control is a
    prior of 0.6 in place of 1 in the library's chains, whose power is computed for chains at their posterior."""
    xp = backends.get("jax", dtype="float64")
    assert missed_prior(0.6) < MISSED
    with xp.scope():
        expected, rate = theirs(sampler)
        found, own = ours(xp, sampler, 1.0)
        other, _ = ours(xp, sampler, 0.6)
    assert p_equal(found, expected) > FALSE_ALARM
    assert p_equal(other, expected) < FALSE_ALARM
    assert 0.3 < rate < 0.97
    assert abs(own - rate) < 0.03, "by Hoeffding's inequality with a probability of 1e-7 or less"
