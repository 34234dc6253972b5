"""Random walk, pCN and discontinuous HMC against laws that are computed, with controls that must fail."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from neko import tree
from neko.samplers import discontinuous_hmc, pcn, random_walk
from neko.samplers.proposals import accept
from sampling import (
    CHAINS,
    assert_chosen,
    assert_right,
    exact_draws,
    gaussian,
    halves,
    mapped,
    run,
    single_steps,
)
from significance import FALSE_ALARM, MISSED, missed_binomial, p_binomial

SCALE = {"a": 1.3, "b": 2.0}
S = np.array([1.3, 1.3, 2.0])


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


# Two wells of different depths, and a wall: in one dimension every law is a sum over a grid. The borders of the cells
# and the wall lie in the middle between two points.
WIDTH = 0.005
GRID = np.arange(-4.0 + 0.5 * WIDTH, 4.0, WIDTH)


def well(x, xp=np):
    """A log density with a jump."""
    return -0.25 * x**4 + 0.8 * x**2 + 0.3 * x - xp.where(x > 0.6, 0.7, 0.0 * x)


def cell(x):
    """Where a position is: the left well, the barrier, the right well."""
    return np.searchsorted([-0.5, 0.5], x)


def well_draws(chains=CHAINS, seed=3):
    """Exact draws by the inverse of the distribution function, linear between the points of a fine grid."""
    fine = np.linspace(-4.0, 4.0, 400_001)
    density = np.exp(well(fine))
    distribution = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
    return np.interp(np.random.default_rng(seed).random(chains), distribution / distribution[-1], fine)


def well_step(xp, method, step_size, starts, steps=1, seed=0):
    """Where chains in the two wells come to; `method` is ``(xp, key, state, target, step_size) -> state, info``."""

    def target(w):
        return xp.sum(well(w["a"], xp)), w

    def step(key, state):
        return method(xp, key, state, target, xp.asarray(step_size))[0], xp.ones(())

    init = lambda w: pcn.init(xp, w, target)  # noqa: E731  the state of all three
    return run(xp, init, step, {"a": starts[:, None]}, steps=steps, seed=seed).draws[:, 0]


def metropolis_kernel(step_size, keep, corrected=True):
    """Probabilities from point to point of the grid: proposals ``keep x + step_size ξ``, with the accept test."""
    proposal = stats.norm.pdf(GRID[None], keep * GRID[:, None], step_size) * WIDTH
    log_ratio = well(GRID)[None] - well(GRID)[:, None]
    if corrected and keep < 1.0:
        log_ratio = log_ratio + 0.5 * (GRID[None] ** 2 - GRID[:, None] ** 2)
    kernel = proposal * np.minimum(1.0, np.exp(log_ratio))
    kernel[np.diag_indices(len(GRID))] += 1.0 - kernel.sum(axis=1)
    return kernel


def by_cells(kernel, start):
    """Probability of a step from cell to cell, (3, 3), from a law on the grid."""
    member = np.eye(3)[cell(GRID)]
    return member.T @ (start[:, None] * kernel) @ member


def stationary():
    density = np.exp(well(GRID))
    return density / density.sum()


def counted(before, after):
    return np.histogram2d(cell(before), cell(after), bins=[[-0.5, 0.5, 1.5, 2.5]] * 2)[0]


PAIRS = [(0, 1), (0, 2), (1, 2)]


def p_balanced(flows):
    """p-value of detailed balance: as many steps from a cell to another as back, given how many there are."""
    return min(1.0, len(PAIRS) * min(p_binomial(flows[i, j], flows[i, j] + flows[j, i], 0.5) for i, j in PAIRS))


def missed_balance(flows, chains):
    """Probability that the flows of another law pass, bounded by the clearest pair of cells: the number of steps
    between two cells is normal to a good approximation, and further than 6 deviations from its mean once in 10^9."""
    found = []
    for i, j in PAIRS:
        p = flows[i, j] + flows[j, i]
        least = int(chains * p - 6.0 * np.sqrt(chains * p))
        found.append(missed_binomial(least, 0.5, flows[i, j] / p) if least > 0 else 1.0)
    return min(found)


def uncorrected(xp, key, state, target, step_size):
    """A broken pCN: the accept test without the correction for the prior."""
    key_noise, key_accept = xp.unstack(xp.random.split(key))
    proposal = pcn.propose(xp, key_noise, state.position, step_size)
    new = pcn.State(proposal, target(proposal)[0])
    probability, accepted = accept(xp, key_accept, new.logdensity - state.logdensity)
    return tree.map(lambda a, b: xp.where(accepted, a, b), new, state), pcn.Info(probability, accepted)


def p_of_law(xp, method, step_size, point, law):
    """p-value of where a step from a point goes, given the probabilities of the three cells."""
    found = counted(np.full(CHAINS, point), well_step(xp, method, step_size, np.full(CHAINS, point))).sum(axis=0)
    return min(1.0, len(found) * min(p_binomial(n, CHAINS, q) for n, q in zip(found, law, strict=True)))


POINTS = GRID[np.searchsorted(GRID, [-1.4, 0.0, 1.6])]
"""In the left well, on the barrier, in the right well."""
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


LENGTH, MASS = 0.9, 0.8
"""Step size of discontinuous HMC on the wells, for trajectories of three steps."""


def discontinuous(xp, key, state, target, step_size):
    return discontinuous_hmc.step(xp, key, state, target, step_size, steps=3, mass={"a": MASS})


def unflipped(xp, key, state, target, step_size):
    """A broken discontinuous HMC: where a move does not go through, the momentum stays as it is."""
    keys = xp.unstack(xp.random.split(key, 3))
    way = xp.where(xp.random.uniform(keys[0], ()) < 0.5, xp.full((), -1.0), xp.full((), 1.0))
    energy = -xp.log1p(-xp.random.uniform(keys[1], ()))
    move = step_size * (1.0 - 0.2 * xp.random.uniform(keys[2], ())) * way / MASS
    position, logdensity = state
    for _ in range(3):
        ahead = {"a": position["a"] + move}
        found, _ = target(ahead)
        passes = energy > logdensity - found
        energy = xp.where(passes, energy + found - logdensity, energy)
        position = {"a": xp.where(passes, ahead["a"], position["a"])}
        logdensity = xp.where(passes, found, logdensity)
    return discontinuous_hmc.State(position, logdensity), None


def moved_to(start, flip, momenta=2000, sizes=50):
    """Probabilities of the three cells after a trajectory from points (n,), a sum over momenta and step sizes."""
    middle = lambda n: (np.arange(n) + 0.5) / n  # noqa: E731
    energy = -np.log(middle(momenta))[:, None, None]
    size = LENGTH * (1.0 - 0.2 * middle(sizes))[:, None] / MASS
    law = np.zeros((len(start), 3))
    for number, origin in enumerate(start):
        x, way = np.broadcast_arrays(origin, np.ones_like(energy) * [1.0, -1.0] * np.ones_like(size))
        e = np.broadcast_to(energy, x.shape)
        for _ in range(3):
            rise = well(x) - well(x + size * way)
            passes = e > rise
            x, e = np.where(passes, x + size * way, x), np.where(passes, e - rise, e)
            way = np.where(passes | (not flip), way, -way)
        law[number] = np.bincount(cell(x).ravel(), minlength=3) / x.size
    return law


@pytest.mark.quick("torch")
def test_a_trajectory_of_discontinuous_hmc_has_its_law(xp):
    """As above. The control keeps the momentum where it does not go through; its flows are computed from 300 exact
    draws, which is enough for its power."""
    xp, _ = mapped(xp)
    for method, flip in ((discontinuous, True), (unflipped, False)):
        for point, law in zip(POINTS, moved_to(POINTS, flip), strict=True):
            assert p_of_law(xp, method, LENGTH, point, law) > FALSE_ALARM
    quantiles = np.interp((np.arange(300) + 0.5) / 300, np.cumsum(stationary()), GRID + 0.5 * WIDTH)
    flows = np.eye(3)[cell(quantiles)].T @ moved_to(quantiles, False, momenta=100, sizes=10) / 300
    draws = well_draws(chains := 4 * CHAINS)
    assert missed_balance(flows, chains) < MISSED
    assert p_balanced(counted(draws, well_step(xp, discontinuous, LENGTH, draws, seed=1))) > FALSE_ALARM
    assert p_balanced(counted(draws, well_step(xp, unflipped, LENGTH, draws, seed=1))) < FALSE_ALARM


HEIGHTS = np.array([[1.0, 4.0, 2.0], [3.0, 0.5, 5.0]])
"""A density that is constant on six unit squares, and zero outside."""


def staircase(xp):
    def target(w):
        a, b = w["a"][0], w["b"][0]
        value = xp.full((), -np.inf)
        for (i, j), height in np.ndenumerate(HEIGHTS):
            inside = xp.logical_and(xp.floor(a) == i, xp.floor(b) == j)
            value = xp.where(inside, xp.full((), float(np.log(height))), value)
        return value, w

    return target


@pytest.mark.quick("torch")
def test_discontinuous_hmc_on_a_staircase(xp):
    """How many chains are on each step, and that they are uniform on it. The control does not see the heights."""
    xp, _ = mapped(xp)
    rng, target = np.random.default_rng(0), staircase(xp)
    probability = HEIGHTS.ravel() / HEIGHTS.sum()
    at = rng.choice(6, size=CHAINS, p=probability)
    starts = np.stack([at // 3, at % 3], axis=1) + rng.random((CHAINS, 2))

    def step(key, state):
        state, info = discontinuous_hmc.step(xp, key, state, target, xp.asarray(0.7), steps=3, mass={"b": 0.8})
        return state, info.acceptance_probability

    init = lambda w: discontinuous_hmc.init(xp, w, target)  # noqa: E731
    ends = run(xp, init, step, {"a": starts[:, :1], "b": starts[:, 1:]}, steps=4)
    where = np.floor(ends.draws).astype(int)
    counts = np.bincount(3 * where[:, 0] + where[:, 1], minlength=6)
    halves_below = np.sum(ends.draws - where < 0.5, axis=0)
    p = [p_binomial(n, CHAINS, q) for n, q in zip(counts, probability, strict=True)]
    p += [p_binomial(n, CHAINS, 0.5) for n in halves_below]
    assert len(counts) == 6
    assert len(p) * min(p) > FALSE_ALARM
    assert np.mean(np.any(where != np.floor(starts), axis=1)) > 0.5, "they go from step to step"
    assert min(missed_binomial(CHAINS, q, 1 / 6) for q in probability) < MISSED


@pytest.mark.quick("torch", "tensorflow")
@pytest.mark.parametrize("density", ["gaussian", "staircase"])
def test_a_trajectory_keeps_its_energy_and_runs_back(xp, density):
    """Move by move, whatever the density; back with negated momentum and reversed order."""
    if density == "gaussian":
        target, position = gaussian(xp), {"a": xp.asarray(np.array([0.3, -1.0])), "b": xp.asarray(np.array([1.0]))}
        momentum = {"a": xp.asarray(np.array([1.5, -0.9])), "b": xp.asarray(np.array([0.4]))}
    else:
        target, position = staircase(xp), {"a": xp.asarray(np.array([0.3])), "b": xp.asarray(np.array([1.2]))}
        momentum = {"a": xp.asarray(np.array([1.5])), "b": xp.asarray(np.array([-2.9]))}
    mass = {"a": 0.7, "b": 1.9}
    entries = sum(len(xp.to_numpy(w)) for w in position.values())
    order = np.concatenate([np.random.default_rng(k).permutation(entries) for k in range(12)])

    def energy(state, p):
        kinetic = sum(np.abs(xp.to_numpy(p[name])).sum() / mass[name] for name in p)
        return kinetic - float(state.logdensity)

    def run_along(order, state, momentum):
        order = xp.astype(xp.asarray(order), xp.argsort(xp.arange(2)).dtype)
        return discontinuous_hmc.trajectory(xp, order, state, momentum, target, xp.asarray(0.6), mass=mass)

    state = discontinuous_hmc.init(xp, position, target)
    there, after, moved = run_along(order, state, momentum)
    assert 0.0 < float(moved) < 1.0, "some moves go through, and some turn back"
    assert energy(there, after) == pytest.approx(energy(state, momentum), abs=1e-12)
    assert float(there.logdensity) == pytest.approx(float(target(there.position)[0]), abs=1e-12)
    back, _, _ = run_along(order[::-1].copy(), there, {name: -p for name, p in after.items()})
    for name, w in position.items():
        assert np.abs(xp.to_numpy(there.position[name] - w)).max() > 0.1
        np.testing.assert_allclose(xp.to_numpy(back.position[name]), xp.to_numpy(w), rtol=0, atol=1e-12)
