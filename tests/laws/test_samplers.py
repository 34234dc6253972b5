"""Samplers against densities whose moments are known, with controls that must fail."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from scipy import stats

from neko import tree
from neko.bayes import Laplace, Normal
from neko.bayes.priors import resolve
from neko.samplers import discontinuous_hmc, hmc, langevin, pcn, psgld, random_walk, sghmc, sgld
from neko.samplers.proposals import accept, normals
from sampling import (
    CHAINS,
    LINEAR,
    PRECISION,
    STEPS,
    assert_chosen,
    assert_found_out,
    assert_right,
    exact_draws,
    gaussian,
    halves,
    law_of_linear,
    mapped,
    run,
    single_steps,
    start,
)
from significance import FALSE_ALARM, MISSED, missed_normal, p_normal


@pytest.mark.quick("torch")
@pytest.mark.parametrize("drift", ["exact", "rotated"])
def test_mala_accepts_by_the_ratio_of_the_proposals(xp, drift):
    """The formula word for word; the sampler has it as a product."""
    epsilon, s, outcomes = 0.4, np.array([1.3, 1.3, 2.0]), set()
    for x, noise, uniform, target, found, info in single_steps(
        xp, drift, langevin, epsilon, scale={"a": 1.3, "b": 2.0}
    ):
        y = x + epsilon * s**2 * target(x)[1] + np.sqrt(2 * epsilon) * s * noise

        def log_q(to, origin, target=target):
            return -np.sum(((to - origin - epsilon * s**2 * target(origin)[1]) / s) ** 2) / (4 * epsilon)

        expected = min(1.0, np.exp(target(y)[0] + log_q(x, y) - target(x)[0] - log_q(y, x)))
        outcomes.add(assert_chosen(expected, uniform, x, y, found, info))
    assert {(True, True), (False, True)} <= outcomes, "the accept test decides both ways"


@pytest.mark.quick("torch")
@pytest.mark.parametrize("force", ["exact", "rotated"])
def test_hmc_accepts_by_the_energy_of_the_leapfrog(xp, force):
    epsilon, m, outcomes = 0.55, np.array([0.7, 0.7, 2.0]), set()
    for x, noise, uniform, target, found, info in single_steps(
        xp, force, hmc, epsilon, steps=3, mass={"a": 0.7, "b": 2.0}
    ):
        w, p = x, np.sqrt(m) * noise
        before = -target(w)[0] + 0.5 * np.sum(p**2 / m)
        for _ in range(3):
            p = p + 0.5 * epsilon * target(w)[1]
            w = w + epsilon * p / m
            p = p + 0.5 * epsilon * target(w)[1]
        expected = -target(w)[0] + 0.5 * np.sum(p**2 / m) - before
        np.testing.assert_allclose(float(info.energy_error), expected, rtol=1e-9)
        outcomes.add(assert_chosen(min(1.0, np.exp(-expected)), uniform, x, w, found, info))
    assert {(True, True), (False, True)} <= outcomes, "the accept test decides both ways"


@pytest.mark.quick("torch")
def test_noise_is_independent_and_follows_the_names_of_the_parameters(xp):
    """False alarm and power as in `significance`; the control is the same numbers for both parameters."""
    n = 1000
    forth = normals(xp, xp.random.key(3), {"a": xp.zeros((n,)), "b": xp.zeros((n,))})
    back = normals(xp, xp.random.key(3), {"b": xp.zeros((n,)), "a": xp.zeros((n,))})
    assert list(back) == ["b", "a"]
    for name, values in forth.items():
        np.testing.assert_array_equal(xp.to_numpy(values), xp.to_numpy(back[name]))
    drawn = np.stack([xp.to_numpy(forth["a"]), xp.to_numpy(forth["b"])], axis=1)
    assert p_normal(drawn, np.zeros(2), np.eye(2)) > FALSE_ALARM
    assert missed_normal(n, np.zeros(2), np.eye(2), np.zeros(2), np.ones((2, 2))) < MISSED


# What the drifts of the tests below cost without the accept test is computed in the tests of the controls.
@pytest.mark.quick("torch")
@pytest.mark.parametrize("drift", ["exact", "exact, with a scale", "rotated", "scaled", "sign", "zero"])
def test_mala_is_right_whatever_the_drift(xp, drift):
    xp, _ = mapped(xp)
    target = gaussian(xp, drift.split(",")[0])
    step_size = xp.asarray({"exact": 0.35, "scaled": 0.4}.get(drift, 0.15))
    scale = {"a": xp.asarray(np.array([0.5, 1.2]))} if "scale" in drift else None
    starts = exact_draws()

    def step(key, state):
        state, info = langevin.step(xp, key, state, target, step_size, scale=scale)
        return state, info.acceptance_probability

    assert_right(starts, run(xp, lambda w: langevin.init(xp, w, target), step, halves(starts)))


@pytest.mark.quick("torch")
@pytest.mark.parametrize("force", ["exact", "rotated", "sign"])
def test_hmc_is_right_whatever_the_force(xp, force):
    xp, _ = mapped(xp)
    target = gaussian(xp, force)
    step_size = xp.asarray(0.45 if force == "exact" else 0.2)
    starts = exact_draws()

    def step(key, state):
        state, info = hmc.step(xp, key, state, target, step_size, steps=4, mass={"a": 0.7, "b": 2.0})
        return state, info.acceptance_probability

    assert_right(starts, run(xp, lambda w: hmc.init(xp, w, target), step, halves(starts)))


def chosen(xp, key, old, moved, target):
    """The accept test without the correction for the proposal."""
    new = langevin.State(moved, *target(moved))
    probability, accepted = accept(xp, key, new.logdensity - old.logdensity)
    return tree.map(lambda a, b: xp.where(accepted, a, b), new, old), probability


def uncorrected(xp, key, state, target, epsilon):
    """A broken MALA: the accept test without the correction for the proposal."""
    keys = xp.unstack(xp.random.split(key))
    noise = normals(xp, keys[0], state.position)
    moved = {n: w + epsilon * state.drift[n] + (2 * epsilon) ** 0.5 * noise[n] for n, w in state.position.items()}
    return chosen(xp, keys[1], state, moved, target)


def noiseless(xp, key, state, target, epsilon):
    """A broken MALA: no noise."""
    return chosen(xp, key, state, {n: w + epsilon * state.drift[n] for n, w in state.position.items()}, target)


def moments_of_uncorrected(epsilon, steps, points=801):
    """Second and fourth moment of `uncorrected` on N(0, 1), from N(0, 1): its kernel on a grid."""
    x, width = np.linspace(-8.0, 8.0, points, retstep=True)
    proposal = stats.norm.pdf(x[None], (1.0 - epsilon) * x[:, None], np.sqrt(2.0 * epsilon)) * width
    kernel = proposal * np.minimum(1.0, np.exp(0.5 * (x[:, None] ** 2 - x[None] ** 2)))
    kernel[np.diag_indices(points)] += 1.0 - kernel.sum(axis=1)
    law = stats.norm.pdf(x) * width @ np.linalg.matrix_power(kernel, steps)
    return law @ x**2, law @ x**4


def missed_uncorrected(epsilon):
    """As `missed_normal` for the sum of squares, which is normal to a good approximation for so many chains."""
    second, fourth = moments_of_uncorrected(epsilon, STEPS)
    low = stats.chi2.ppf(0.25 * FALSE_ALARM, CHAINS)
    return stats.norm.sf(low, CHAINS * second, np.sqrt(CHAINS * (fourth - second**2)))


def missed_noiseless(epsilon):
    """It shrinks every position by 1 - ε, which is always accepted."""
    return missed_normal(CHAINS, [0.0], [[1.0]], [0.0], [[(1.0 - epsilon) ** (2 * STEPS)]])


@pytest.mark.parametrize("broken", [uncorrected, noiseless])
def test_a_broken_mala_is_found_out(xp, broken):
    """The proof of MALA, in one dimension, where the power against these controls can be computed."""
    xp, _ = mapped(xp)
    epsilon = 0.5
    assert {uncorrected: missed_uncorrected, noiseless: missed_noiseless}[broken](epsilon) < MISSED

    def target(position):
        return -0.5 * xp.sum(position["a"] ** 2), {"a": -position["a"]}

    def p_of(step):
        starts = {"a": exact_draws([0.0], [[1.0]])}
        init = lambda w: langevin.init(xp, w, target)  # noqa: E731
        ends = run(xp, init, lambda key, state: step(xp, key, state, target, xp.asarray(epsilon)), starts)
        return p_normal(ends.draws, [0.0], [[1.0]])

    def right(*args):
        state, info = langevin.step(*args)
        return state, info.acceptance_probability

    assert p_of(right) > FALSE_ALARM
    assert p_of(broken) < FALSE_ALARM


@pytest.mark.quick("torch")
@pytest.mark.parametrize("drift", ["rotated", "scaled", "zero"])
def test_a_wrong_drift_without_the_accept_test_is_found_out(xp, drift):
    """SGLD, which takes every step, with the drifts with which MALA is right."""
    xp, _ = mapped(xp)
    target, epsilon = gaussian(xp, drift), 0.1

    def step(key, state):
        state, _ = sgld.step(xp, key, state, target, epsilon)
        return state, xp.ones(())

    ends = run(xp, lambda w: sgld.init(xp, w, target), step, halves(exact_draws()))
    assert_found_out(
        ends.draws, *law_of_linear(np.eye(3) - epsilon * LINEAR[drift] @ PRECISION, 2 * epsilon * np.eye(3))
    )


@pytest.mark.quick("torch")
@pytest.mark.parametrize("force", ["rotated", "scaled"])
def test_a_wrong_force_without_the_accept_test_is_found_out(xp, force):
    """The leapfrog alone with the wrong force is a linear map of position and momentum."""
    xp, _ = mapped(xp)
    target, epsilon, steps = gaussian(xp, force), 0.2, 4

    def step(key, state):
        momentum = normals(xp, key, state.position)
        return hmc.leapfrog(xp, state, momentum, target, xp.asarray(epsilon), steps=steps)[0], xp.ones(())

    ends = run(xp, lambda w: hmc.init(xp, w, target), step, halves(exact_draws()))
    one, none = np.eye(3), np.zeros((3, 3))
    kick = np.block([[one, none], [-0.5 * epsilon * LINEAR[force] @ PRECISION, one]])
    whole = np.linalg.matrix_power(kick @ np.block([[one, epsilon * one], [none, one]]) @ kick, steps)
    assert_found_out(ends.draws, *law_of_linear(whole[:3, :3], whole[:3, 3:] @ whole[:3, 3:].T))


@pytest.mark.quick("torch")
def test_sgld_has_the_stationary_variance_of_its_step(xp):
    """On N(0, 1) with the exact gradient 1 / (1 - ε/2), which is reached but for (1 - ε)^2k of it; the control is 1."""
    epsilon, n = 0.6, 2000

    def target(position):
        return -0.5 * xp.sum(xp.square(position["a"])), {"a": -position["a"]}

    state = sgld.init(xp, {"a": xp.zeros((n,))}, target)
    for key in xp.unstack(xp.random.split(xp.random.key(0), 2 * STEPS)):
        state, _ = sgld.step(xp, key, state, target, epsilon)
    found = xp.to_numpy(state.position["a"])[:, None]
    stationary = [[1 / (1 - epsilon / 2)]]
    assert p_normal(found, [0.0], stationary) > FALSE_ALARM
    assert missed_normal(n, [0.0], stationary, [0.0], [[1.0]]) < MISSED


def test_the_leapfrog_runs_back_to_where_it_came_from(xp):
    target = gaussian(xp, "sign")
    state = hmc.init(xp, start(xp), target)
    momentum = normals(xp, xp.random.key(5), state.position)
    mass = {"a": 1.7}
    there, after = hmc.leapfrog(xp, state, momentum, target, xp.asarray(0.1), steps=20, mass=mass)
    back, _ = hmc.leapfrog(xp, there, {n: -p for n, p in after.items()}, target, xp.asarray(0.1), steps=20, mass=mass)
    for name, w in state.position.items():
        assert np.abs(xp.to_numpy(there.position[name] - w)).max() > 0.1
        np.testing.assert_allclose(xp.to_numpy(back.position[name]), xp.to_numpy(w), rtol=0, atol=1e-12)


@pytest.mark.quick("torch")
def test_the_energy_error_falls_with_the_square_of_the_step(xp):
    """A double well, so that nothing cancels by symmetry."""

    def target(position):
        w = position["a"]
        return xp.sum(-0.25 * w**4 + 0.5 * w**2 + 0.3 * w), {"a": -(w**3) + w + 0.3}

    state = hmc.init(xp, {"a": xp.asarray(np.array([0.4, -1.1, 1.9]))}, target)
    momentum = {"a": xp.asarray(np.array([0.7, 0.2, -1.0]))}

    def energy(state, p):
        return float(-state.logdensity + 0.5 * xp.sum(xp.square(p["a"])))

    errors = []
    for steps in (20, 40, 80):
        there, after = hmc.leapfrog(xp, state, momentum, target, xp.asarray(2.0 / steps), steps=steps)
        errors.append(abs(energy(there, after) - energy(state, momentum)))
    slopes = np.log2(np.array(errors[:-1]) / errors[1:])
    assert np.abs(slopes - 2.0).max() < 0.1, slopes


@pytest.mark.quick("torch")
def test_the_same_key_gives_the_same_chain_and_compiling_changes_nothing(xp):
    target = gaussian(xp)
    for sampler, options in ((langevin, {}), (hmc, {"steps": 3})):
        state = sampler.init(xp, start(xp), target)
        plain = lambda key, s=sampler, o=options, st=state: s.step(xp, key, st, target, xp.asarray(0.02), **o)  # noqa: E731
        first, again = plain(xp.random.key(1))[0], xp.jit(plain)(xp.random.key(1))[0]
        other = plain(xp.random.key(2))[0]
        np.testing.assert_allclose(
            xp.to_numpy(first.position["a"]), xp.to_numpy(again.position["a"]), rtol=1e-12, atol=1e-14
        )
        assert not np.array_equal(xp.to_numpy(first.position["a"]), xp.to_numpy(other.position["a"]))


@pytest.mark.quick("torch")
@pytest.mark.parametrize("method", [langevin, hmc], ids=["mala", "hmc"])
def test_what_is_not_a_number_is_rejected(xp, method):
    options = {"steps": 2} if method is hmc else {}

    def step(height, slope, key):
        def cliff(position):
            w = position["a"]
            beyond = xp.max(xp.abs(w)) > 0.5
            return xp.where(beyond, height, xp.zeros(())), {"a": xp.where(beyond, slope, xp.zeros_like(w))}

        state = method.init(xp, {"a": xp.zeros((50,))}, cliff)
        return method.step(xp, key, state, cliff, xp.asarray(4.0), **options)

    step = xp.jit(step)
    nan, inf = float("nan"), float("inf")
    for height, slope in [(nan, 0.0), (inf, 0.0), (-inf, 0.0), (0.0, nan), (0.0, inf)]:
        after, info = step(xp.full((), height), xp.full((), slope), xp.random.key(0))
        assert float(info.acceptance_probability) == 0.0
        assert not bool(info.accepted)
        np.testing.assert_array_equal(xp.to_numpy(after.position["a"]), np.zeros(50))
        assert float(after.logdensity) == 0.0
    after, info = step(xp.full((), 5.0), xp.full((), 0.0), xp.random.key(0))
    assert float(info.acceptance_probability) > 0.0, "a cliff up of a finite height may be climbed"


MOVES = {
    "mala": (langevin, 0.1, {}),
    "random walk": (random_walk, 0.6, {}),
    "pcn": (pcn, 0.7, {}),
    "discontinuous hmc": (discontinuous_hmc, 0.8, {"steps": 2}),
}


@pytest.mark.quick("torch")
@pytest.mark.parametrize("move", ["mala", *(pytest.param(n, marks=pytest.mark.slow) for n in MOVES if n != "mala")])
def test_draws_after_simulated_data_have_the_joint_law_of_parameter_and_data(xp, move):
    """A mean with prior N(0, 1) and four data with unit noise; the chain that starts in the true mean, which is a draw
    from the posterior, keeps its joint law with the data (Geweke 2004, doi:10.1198/016214504000001132).

    The control is a prior of 0.3 in the chain's target: its draws come to the posterior of that one.
    """
    if xp.name == "tensorflow":
        pytest.skip("the same numbers as on the others: see the single steps")
    xp, _ = mapped(xp)
    (sampler, step_size, options), data = MOVES[move], 4
    truth, total = exact_draws(np.zeros(2), joint := np.array([[1.0, data], [data, data + data**2]])).T

    def p_of(scale):
        def target_of(total):
            return lambda w: (
                xp.sum(w["a"] * total - 0.5 * (data + scale**-2) * w["a"] ** 2),
                {"a": total - (data + scale**-2) * w["a"]},
            )

        def step(key, state, total):
            state, info = sampler.step(xp, key, state, target_of(total), xp.asarray(step_size), **options)
            return state, info.acceptance_probability

        init = lambda w, total: sampler.init(xp, w, target_of(total))  # noqa: E731
        ends = run(xp, init, step, {"a": truth[:, None]}, total, steps=2 * STEPS)
        assert np.corrcoef(truth, ends.draws[:, 0])[0, 1] < 0.95, "it moves"
        return p_normal(np.stack([ends.draws[:, 0], total], axis=1), np.zeros(2), joint)

    assert p_of(1.0) > FALSE_ALARM
    assert p_of(0.3) < FALSE_ALARM
    weight = 1.0 / (data + 0.3**-2)
    narrow = [[weight + weight**2 * joint[1, 1], weight * joint[1, 1]], [weight * joint[1, 1], joint[1, 1]]]
    assert missed_normal(CHAINS, np.zeros(2), joint, np.zeros(2), narrow) < MISSED


@pytest.mark.quick("torch")
def test_priors_have_their_gradients(xp):
    w = xp.asarray(np.array([0.5, -2.0, 1.0]))
    for prior, value in ((Normal(0.5), -10.5), (Laplace(0.5), -7.0)):
        found, gradient = prior.logdensity_and_gradient(xp, w)
        assert float(found) == pytest.approx(value)
        other = xp.value_and_grad(lambda w, p=prior: p.logdensity_and_gradient(xp, w)[0])(w)[1]
        np.testing.assert_allclose(xp.to_numpy(gradient), xp.to_numpy(other), rtol=1e-12)


def test_priors_by_name_and_pattern():
    params = {"layers.0.w_in": 0, "readout.w_out": 0, "readout.b_out": 0}
    found = resolve({"readout.b_out": 2.0, "readout.*": Laplace(0.1), "*": 1.0}, params)
    assert found == {
        "layers.0.w_in": Normal(1.0),
        "readout.w_out": Laplace(0.1),
        "readout.b_out": Normal(2.0),
    }
    assert resolve(0.5, params) == dict.fromkeys(params, Normal(0.5))
    with pytest.raises(ValueError, match=r"prior for \['readuot"):
        resolve({"readuot.*": 1.0, "*": 1.0}, params)
    with pytest.raises(ValueError, match=r"no prior for 'layers.0.w_in'"):
        resolve({"readout.*": 1.0}, params)
    with pytest.raises(ValueError, match=r"scale=0\.0"):
        resolve(0.0, params)
    with pytest.raises(TypeError, match="prior='wide'"):
        resolve("wide", params)


def test_a_scale_for_no_parameter_is_named(xp):
    target = gaussian(xp)
    state = langevin.init(xp, start(xp), target)
    with pytest.raises(ValueError, match=r"no parameters \['c'\]"):
        langevin.step(xp, xp.random.key(0), state, target, xp.asarray(0.1), scale={"c": 1.0})


@pytest.mark.parametrize(
    "sampler",
    [discontinuous_hmc, hmc, langevin, pcn, psgld, random_walk, sghmc, sgld],
    ids=lambda sampler: sampler.__name__,
)
def test_all_samplers_have_one_signature(sampler):
    """A state and an info; ``init(xp, position, target)`` and ``step(xp, key, state, target, step_size, *, …)``."""
    assert issubclass(sampler.State, tuple)
    assert sampler.State._fields[0] == "position"
    assert issubclass(sampler.Info, tuple)
    assert list(inspect.signature(sampler.init).parameters) == ["xp", "position", "target"]
    given = inspect.signature(sampler.step).parameters
    by_place = [name for name, p in given.items() if p.kind is not inspect.Parameter.KEYWORD_ONLY]
    assert by_place == ["xp", "key", "state", "target", "step_size"]
