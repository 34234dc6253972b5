"""Discontinuous HMC against laws that are computed, on densities that jump, with controls that must fail."""

from __future__ import annotations

import numpy as np
import pytest

from neko.samplers import discontinuous_hmc
from sampling import CHAINS, gaussian, mapped, run
from significance import FALSE_ALARM, MISSED, missed_binomial, p_binomial
from wells import (
    GRID,
    POINTS,
    WIDTH,
    cell,
    counted,
    missed_balance,
    p_balanced,
    p_of_law,
    stationary,
    well,
    well_draws,
    well_step,
)

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


def moved_to(start, flip, points=100_000):
    """Probabilities of the three cells after a trajectory from points (n,): a sum over momenta and step sizes, which
    fill their square by the golden ratio; thirty times as many points change no probability by more than 3e-5."""
    k = np.arange(points)[:, None]
    energy = -np.log((k + 0.5) / points)
    size = LENGTH * (1.0 - 0.2 * (0.5 * (np.sqrt(5.0) - 1.0) * k % 1.0)) / MASS
    law = np.zeros((len(start), 3))
    for number, origin in enumerate(start):
        x, way = np.broadcast_arrays(origin, np.ones_like(energy) * [1.0, -1.0])
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
    flows = np.eye(3)[cell(quantiles)].T @ moved_to(quantiles, False, points=1000) / 300
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
