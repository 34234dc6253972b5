"""Samplers without a gradient: the moments of a Gaussian; steps of random walk and pCN against their laws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from neko import tree
from neko.samplers import discontinuous_hmc, pcn, random_walk
from neko.samplers.proposals import accept
from sampling import CHAINS, assert_chosen, assert_right, exact_draws, gaussian, halves, mapped, run, single_steps
from significance import FALSE_ALARM, MISSED
from wells import (
    GRID,
    POINTS,
    WIDTH,
    by_cells,
    counted,
    missed_balance,
    p_balanced,
    p_of_law,
    stationary,
    well,
    well_draws,
    well_step,
)

SCALE = {"a": 1.3, "b": 2.0}
S = np.array([1.3, 1.3, 2.0])


@pytest.mark.quick("torch")
def test_a_random_walk_accepts_by_the_ratio_of_the_densities(xp):
    epsilon, outcomes = 0.7, set()
    for x, noise, uniform, target, found, info in single_steps(xp, "exact", random_walk, epsilon, scale=SCALE):
        y = x + epsilon * S * noise
        outcomes.add(assert_chosen(min(1.0, np.exp(target(y)[0] - target(x)[0])), uniform, x, y, found, info))
    assert {(True, True), (False, True)} <= outcomes, "the accept test decides both ways"


@pytest.mark.quick("torch")
@pytest.mark.parametrize("beta", [0.6, 1.0, 1.7])
def test_pcn_accepts_by_the_ratio_of_the_likelihoods(xp, beta):
    """The prior's density, word for word; above 1 a step is as with 1."""
    b, outcomes = min(beta, 1.0), set()

    def loglikelihood(w, target):
        return target(w)[0] - stats.norm.logpdf(w, scale=S).sum()

    for x, noise, uniform, target, found, info in single_steps(xp, "exact", pcn, beta, scale=SCALE):
        y = np.sqrt(1.0 - b**2) * x + b * S * noise
        expected = min(1.0, np.exp(loglikelihood(y, target) - loglikelihood(x, target)))
        outcomes.add(assert_chosen(expected, uniform, x, y, found, info))
    assert beta >= 1.0 or {accepted for accepted, _ in outcomes} == {True, False}, "the accept test decides both ways"


MOVES = {
    "random walk": (random_walk, 0.5, {"scale": SCALE}),
    "pcn": (pcn, 0.4, {"scale": SCALE}),
    "discontinuous hmc": (discontinuous_hmc, 1.0, {"steps": 2, "mass": {"a": 1.3, "b": 0.7}}),
}


@pytest.mark.quick("torch")
@pytest.mark.parametrize("move", MOVES)
def test_the_moments_of_a_gaussian(xp, move):
    """With scales and masses that are not 1, and for pCN not those of the target."""
    xp, _ = mapped(xp)
    sampler, step_size, options = MOVES[move]
    target, starts = gaussian(xp), exact_draws()

    def step(key, state):
        state, info = sampler.step(xp, key, state, target, xp.asarray(step_size), **options)
        return state, info.acceptance_probability

    assert_right(starts, run(xp, lambda w: sampler.init(xp, w, target), step, halves(starts)))


def metropolis_kernel(step_size, keep, corrected=True):
    """Probabilities from point to point of the grid: proposals ``keep x + step_size ξ``, with the accept test."""
    proposal = stats.norm.pdf(GRID[None], keep * GRID[:, None], step_size) * WIDTH
    log_ratio = well(GRID)[None] - well(GRID)[:, None]
    if corrected and keep < 1.0:
        log_ratio = log_ratio + 0.5 * (GRID[None] ** 2 - GRID[:, None] ** 2)
    kernel = proposal * np.minimum(1.0, np.exp(log_ratio))
    kernel[np.diag_indices(len(GRID))] += 1.0 - kernel.sum(axis=1)
    return kernel


def uncorrected(xp, key, state, target, step_size):
    """A broken pCN: the accept test without the correction for the prior."""
    key_noise, key_accept = xp.unstack(xp.random.split(key))
    proposal = pcn.propose(xp, key_noise, state.position, step_size)
    new = pcn.State(proposal, target(proposal)[0])
    probability, accepted = accept(xp, key_accept, new.logdensity - state.logdensity)
    return tree.map(lambda a, b: xp.where(accepted, a, b), new, state), pcn.Info(probability, accepted)


BETA = 0.8


@pytest.mark.quick("torch")
def test_one_step_of_a_random_walk_and_of_pcn_has_its_law(xp):
    """Where it goes from three points, and detailed balance from exact draws.

    The control is pCN without the correction for the prior; its law is computed on the grid too.
    """
    xp, _ = mapped(xp)
    kept = np.sqrt(1.0 - BETA**2)
    kernels = {
        random_walk.step: metropolis_kernel(BETA, 1.0),
        pcn.step: metropolis_kernel(BETA, kept),
        uncorrected: metropolis_kernel(BETA, kept, corrected=False),
    }
    assert missed_balance(by_cells(kernels[uncorrected], stationary()), CHAINS) < MISSED
    draws = well_draws()
    for method, kernel in kernels.items():
        for point in POINTS:
            law = by_cells(kernel, 1.0 * (point == GRID)).sum(axis=0)
            assert p_of_law(xp, method, BETA, point, law) > FALSE_ALARM
        balance = p_balanced(counted(draws, well_step(xp, method, BETA, draws, seed=1)))
        assert (balance > FALSE_ALARM) == (method is not uncorrected), method
