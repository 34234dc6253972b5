"""A density of one dimension with two wells and a wall, and laws of steps on it, which are sums over a grid."""

from __future__ import annotations

import numpy as np

from neko.samplers import pcn
from sampling import CHAINS, run
from significance import missed_binomial, p_binomial

# The borders of the cells and the wall lie in the middle between two points.
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


def p_of_law(xp, method, step_size, point, law):
    """p-value of where a step from a point goes, given the probabilities of the three cells."""
    found = counted(np.full(CHAINS, point), well_step(xp, method, step_size, np.full(CHAINS, point))).sum(axis=0)
    return min(1.0, len(found) * min(p_binomial(n, CHAINS, q) for n, q in zip(found, law, strict=True)))


POINTS = GRID[np.searchsorted(GRID, [-1.4, 0.0, 1.6])]
"""In the left well, on the barrier, in the right well."""
