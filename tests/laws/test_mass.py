"""Hamiltonian Monte Carlo with masses that are not 1, in every form, with controls that must fail."""

from __future__ import annotations

import numpy as np
import pytest

from neko.samplers import hmc
from neko.samplers.mass import Dense, Diagonal, Rows, flat, kinetic_change, of, unflat
from neko.samplers.proposals import normals
from sampling import CHAINS, COVARIANCE, MEAN, STEPS, exact_draws, gaussian, halves, law_of_linear, mapped, run
from significance import FALSE_ALARM, MISSED, missed_normal, p_normal

M = np.array([[2.0, 0.9, -0.5], [0.9, 1.1, 0.3], [-0.5, 0.3, 0.8]])
"""A mass over all three entries of 'a' (2,) and 'b' (1,)."""
BLOCKS = np.block([[M[:2, :2], np.zeros((2, 1))], [np.zeros((1, 2)), M[2:, 2:]]])
FORMS = {"diagonal": np.diag(np.diag(M)), "rows": BLOCKS, "dense": M}
"""The same mass in the form, as a matrix."""


def made(xp, form, matrix=None):
    """A form of the mass, by the diagonal or Cholesky factors of a matrix."""
    matrix = FORMS[form] if matrix is None else matrix
    if form == "dense":
        return Dense(xp.asarray(np.linalg.cholesky(matrix)))
    if form == "rows":
        return Rows({n: xp.asarray(np.linalg.cholesky(part)) for n, part in parts(matrix).items()})
    return Diagonal({n: xp.asarray(np.diag(part)) for n, part in parts(matrix).items()})


def parts(matrix):
    return {"a": matrix[:2, :2], "b": matrix[2:, 2:]}


@pytest.mark.quick("torch")
@pytest.mark.parametrize("form", FORMS)
def test_momentum_velocity_and_energy_are_those_of_the_matrix(xp, form):
    mass, matrix = made(xp, form), FORMS[form]
    position = {"b": xp.zeros((1,)), "a": xp.zeros((2,))}
    key = xp.random.key(1)

    def column(found):
        assert list(found) == list(position)
        return np.concatenate([xp.to_numpy(found["a"]), xp.to_numpy(found["b"])])

    drawn, noise = mass.draw(xp, key, position), column(normals(xp, key, position))
    np.testing.assert_allclose(column(drawn), np.linalg.cholesky(matrix) @ noise, rtol=1e-13)
    inverse = np.linalg.inv(matrix)
    np.testing.assert_allclose(column(mass.velocity(xp, drawn)), inverse @ column(drawn), rtol=1e-12)
    other = mass.draw(xp, xp.random.key(2), position)
    expected = [0.5 * column(p) @ inverse @ column(p) for p in (drawn, other)]
    np.testing.assert_allclose(float(kinetic_change(xp, mass, drawn, other)), expected[1] - expected[0], rtol=1e-12)


@pytest.mark.quick("torch")
def test_the_columns_of_a_matrix_share_the_mass_of_its_rows(xp):
    factor = np.linalg.cholesky(M)
    mass = Rows({"w": xp.asarray(factor)})
    position = {"w": xp.zeros((3, 2, 2)), "free": xp.zeros((4,))}
    drawn = mass.draw(xp, xp.random.key(3), position)
    velocity = mass.velocity(xp, drawn)
    noise = normals(xp, xp.random.key(3), position)
    for i in range(2):
        for j in range(2):
            p = factor @ xp.to_numpy(noise["w"])[:, i, j]
            np.testing.assert_allclose(xp.to_numpy(drawn["w"])[:, i, j], p, rtol=1e-13)
            np.testing.assert_allclose(xp.to_numpy(velocity["w"])[:, i, j], np.linalg.solve(M, p), rtol=1e-12)
    for found in (drawn, velocity):
        np.testing.assert_array_equal(xp.to_numpy(found["free"]), xp.to_numpy(noise["free"]))


def test_a_dense_mass_has_the_entries_in_the_order_of_names(xp):
    position = {"b": xp.asarray(np.array([[5.0, 6.0]])), "a": xp.asarray(np.arange(4.0).reshape(2, 2))}
    column = flat(xp, position)
    np.testing.assert_array_equal(xp.to_numpy(column), np.array([[0.0], [1.0], [2.0], [3.0], [5.0], [6.0]]))
    back = unflat(xp, column, position)
    assert list(back) == list(position)
    for name, w in position.items():
        np.testing.assert_array_equal(xp.to_numpy(back[name]), xp.to_numpy(w))
    assert of(None) == Diagonal({})
    assert of({"a": 2.0}) == Diagonal({"a": 2.0})


@pytest.mark.quick("torch")
@pytest.mark.parametrize("form", FORMS)
def test_hmc_is_right_whatever_the_mass(xp, form):
    """Chains that start in exact draws are at exact draws; false alarm as in `significance`, power below."""
    xp, _ = mapped(xp)
    target, mass, starts = gaussian(xp), made(xp, form), exact_draws()

    def step(key, state):
        state, info = hmc.step(xp, key, state, target, xp.asarray(0.4), steps=4, mass=mass)
        return state, info.acceptance_probability

    ends = run(xp, lambda w: hmc.init(xp, w, target), step, halves(starts))
    assert p_normal(ends.draws, MEAN, COVARIANCE) > FALSE_ALARM
    assert 0.3 < ends.acceptance.mean() < 0.97, "the accept test has had work"
    for begin, end in zip(starts.T, ends.draws.T, strict=True):
        assert np.corrcoef(begin, end)[0, 1] < 0.9, "it moves"


class Mistaken(Dense):
    """The momentum is drawn from the inverse of the mass with which it moves."""

    def draw(self, xp, key, position):
        inverse = np.linalg.cholesky(np.linalg.inv(M))
        return unflat(xp, xp.asarray(inverse) @ flat(xp, normals(xp, key, position)), position)


def law_of_mistaken(step_size, steps):
    """Of chains that take every trajectory: the leapfrog is a linear map of position and momentum."""
    one, none = np.eye(3), np.zeros((3, 3))
    kick = np.block([[one, none], [-0.5 * step_size * np.linalg.inv(COVARIANCE), one]])
    move = np.block([[one, step_size * np.linalg.inv(M)], [none, one]])
    whole = np.linalg.matrix_power(kick @ move @ kick, steps)
    return law_of_linear(whole[:3, :3], whole[:3, 3:] @ np.linalg.inv(M) @ whole[:3, 3:].T)


@pytest.mark.quick("torch")
def test_a_mass_that_is_mistaken_for_its_inverse_is_found_out(xp):
    """The momentum of M⁻¹ in place of M, with steps so small that all but a few trajectories are accepted."""
    xp, _ = mapped(xp)
    target, mass, size = gaussian(xp), Mistaken(xp.asarray(np.linalg.cholesky(M))), 0.1
    law = law_of_mistaken(size, 12)
    assert missed_normal(CHAINS, MEAN, COVARIANCE, *law) < MISSED

    def step(key, state):
        momentum = mass.draw(xp, key, state.position)
        return hmc.leapfrog(xp, state, momentum, target, xp.asarray(size), steps=12, mass=mass)[0], xp.ones(())

    ends = run(xp, lambda w: hmc.init(xp, w, target), step, halves(exact_draws()), steps=STEPS)
    assert p_normal(ends.draws, *law) > FALSE_ALARM
    assert p_normal(ends.draws, MEAN, COVARIANCE) < FALSE_ALARM


@pytest.mark.quick("torch")
@pytest.mark.parametrize("form", FORMS)
def test_the_leapfrog_with_a_mass_runs_back_to_where_it_came_from(xp, form):
    target, mass, size = gaussian(xp, "rotated"), made(xp, form), xp.asarray(0.1)
    state = hmc.init(xp, {n: xp.asarray(w) for n, w in halves(MEAN + 0.5).items()}, target)
    momentum = mass.draw(xp, xp.random.key(5), state.position)
    there, after = hmc.leapfrog(xp, state, momentum, target, size, steps=20, mass=mass)
    back, _ = hmc.leapfrog(xp, there, {n: -p for n, p in after.items()}, target, size, steps=20, mass=mass)
    for name, w in state.position.items():
        assert np.abs(xp.to_numpy(there.position[name] - w)).max() > 0.1
        np.testing.assert_allclose(xp.to_numpy(back.position[name]), xp.to_numpy(w), rtol=0, atol=1e-12)


@pytest.mark.quick("torch")
@pytest.mark.parametrize("form", FORMS)
def test_the_energy_error_with_a_mass_falls_with_the_square_of_the_step(xp, form):
    """A double well, so that nothing cancels by symmetry."""

    def target(position):
        slope = {n: -(w**3) + w + 0.3 for n, w in position.items()}
        return sum(xp.sum(-0.25 * w**4 + 0.5 * w**2 + 0.3 * w) for w in position.values()), slope

    mass = made(xp, form)
    state = hmc.init(xp, {n: xp.asarray(w) for n, w in halves(np.array([0.4, -1.1, 1.9])).items()}, target)
    momentum = {n: xp.asarray(p) for n, p in halves(np.array([0.7, 0.2, -1.0])).items()}
    errors = []
    for steps in (20, 40, 80):
        there, after = hmc.leapfrog(xp, state, momentum, target, xp.asarray(2.0 / steps), steps=steps, mass=mass)
        errors.append(abs(float(kinetic_change(xp, mass, momentum, after) - (there.logdensity - state.logdensity))))
    slopes = np.log2(np.array(errors[:-1]) / errors[1:])
    assert np.abs(slopes - 2.0).max() < 0.15, slopes
