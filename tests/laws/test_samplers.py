"""Samplers against densities whose moments are known, with controls that must fail."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from neko.samplers import Laplace, Normal, adaptation, hmc, langevin, sgld
from neko.samplers.prior import resolve
from neko.samplers.proposals import accept, normals
from sampling import COVARIANCE, MEAN, Z, assert_right, gaussian, run, start, z_scores

# Where a step compiles a long chain is cheap; elsewhere a shorter one has the wider bounds of its own error, and the
# formula of a single step, held exactly on every backend, carries over what the long chain proves.
STEPS = {"jax": 60_000, "tensorflow": 1_500, "torch": 600}
EPSILON = 0.4


def halves(w):
    return {"a": w[:2], "b": w[2:]}


def one_step(xp, drift, method, **options):
    """NumPy values of a step from beside the mean: where from, its noise, the target, what came of it."""
    target = gaussian(xp, drift)
    here = MEAN + np.array([0.2, -0.1, 0.1])
    state = method.init(xp, halves(xp.asarray(here)), target)
    key = xp.random.key(1)
    _, info = method.step(xp, key, state, target, xp.asarray(EPSILON), **options)
    noise = normals(xp, xp.random.split(key)[0], state.position)

    def numpy_target(w):
        logdensity, g = target(halves(xp.asarray(w)))
        return float(logdensity), np.concatenate([xp.to_numpy(g["a"]), xp.to_numpy(g["b"])])

    return here, np.concatenate([xp.to_numpy(noise["a"]), xp.to_numpy(noise["b"])]), numpy_target, info


@pytest.mark.parametrize("drift", ["exact", "rotated"])
def test_mala_accepts_by_the_ratio_of_the_proposals(xp, drift):
    """The formula word for word; the sampler has it as a product."""
    s = np.array([1.3, 1.3, 2.0])
    x, noise, target, info = one_step(xp, drift, langevin, scale={"a": 1.3, "b": 2.0})
    y = x + EPSILON * s**2 * target(x)[1] + np.sqrt(2 * EPSILON) * s * noise

    def log_q(to, origin):
        return -np.sum(((to - origin - EPSILON * s**2 * target(origin)[1]) / s) ** 2) / (4 * EPSILON)

    expected = np.exp(target(y)[0] + log_q(x, y) - target(x)[0] - log_q(y, x))
    assert expected < 0.95
    np.testing.assert_allclose(float(info.acceptance_probability), expected, rtol=1e-9)


@pytest.mark.parametrize("force", ["exact", "rotated"])
def test_hmc_accepts_by_the_energy_of_the_leapfrog(xp, force):
    m = np.array([0.7, 0.7, 2.0])
    w, noise, target, info = one_step(xp, force, hmc, steps=3, mass={"a": 0.7, "b": 2.0})
    p = np.sqrt(m) * noise
    before = -target(w)[0] + 0.5 * np.sum(p**2 / m)
    for _ in range(3):
        p = p + 0.5 * EPSILON * target(w)[1]
        w = w + EPSILON * p / m
        p = p + 0.5 * EPSILON * target(w)[1]
    expected = -target(w)[0] + 0.5 * np.sum(p**2 / m) - before
    assert expected > 0.01, "the acceptance is below 1"
    np.testing.assert_allclose(float(info.energy_error), expected, rtol=1e-9)
    np.testing.assert_allclose(float(info.acceptance_probability), np.exp(-expected), rtol=1e-9)


def test_noise_is_independent_and_follows_the_names_of_the_parameters(xp):
    shape = (500,)
    forth = normals(xp, xp.random.key(3), {"a": xp.zeros(shape), "b": xp.zeros(shape)})
    back = normals(xp, xp.random.key(3), {"b": xp.zeros(shape), "a": xp.zeros(shape)})
    assert list(back) == ["b", "a"]
    for name, values in forth.items():
        np.testing.assert_array_equal(xp.to_numpy(values), xp.to_numpy(back[name]))
    correlation = np.corrcoef(xp.to_numpy(forth["a"]), xp.to_numpy(forth["b"]))[0, 1]
    assert abs(correlation) < Z / np.sqrt(shape[0])


@pytest.mark.parametrize("drift", ["exact", "rotated", "scaled", "sign", "zero"])
def test_mala_is_right_whatever_the_drift(xp, drift):
    target = gaussian(xp, drift)
    step_size = xp.asarray({"exact": 0.35, "scaled": 0.4}.get(drift, 0.15))
    draws, info = run(
        xp,
        langevin.init(xp, start(xp), target),
        lambda key, state: langevin.step(xp, key, state, target, step_size),
        STEPS[xp.name],
    )
    assert 0.2 < xp.to_numpy(info.acceptance_probability).mean() < 0.95, "the accept test has work to do"
    assert_right(draws)


@pytest.mark.parametrize("force", ["exact", "rotated", "sign"])
def test_hmc_is_right_whatever_the_force(xp, force):
    target = gaussian(xp, force)
    step_size = xp.asarray(0.45 if force == "exact" else 0.2)
    mass = {"a": 0.7, "b": 2.0}
    draws, info = run(
        xp,
        hmc.init(xp, start(xp), target),
        lambda key, state: hmc.step(xp, key, state, target, step_size, steps=4, mass=mass),
        STEPS[xp.name] // 2,
    )
    assert 0.2 < xp.to_numpy(info.acceptance_probability).mean() < 0.99
    assert_right(draws)


def test_a_scale_is_a_preconditioner(xp):
    target = gaussian(xp)
    scale = {"a": xp.asarray(np.array([0.5, 1.2]))}
    draws, _ = run(
        xp,
        langevin.init(xp, start(xp), target),
        lambda key, state: langevin.step(xp, key, state, target, xp.asarray(0.35), scale=scale),
        STEPS[xp.name],
    )
    assert_right(draws)


def uncorrected(xp, key, state, target, step_size):
    """A broken MALA: the accept test without the correction for the proposal."""
    key, other = xp.unstack(xp.random.split(key))
    noise = normals(xp, key, state.position)
    moved = {n: w + step_size * state.drift[n] + (2 * step_size) ** 0.5 * noise[n] for n, w in state.position.items()}
    return chosen(xp, other, state, langevin.State(moved, *target(moved)))


def noiseless(xp, key, state, target, step_size):
    """A broken MALA: no noise."""
    moved = {n: w + step_size * state.drift[n] for n, w in state.position.items()}
    return chosen(xp, key, state, langevin.State(moved, *target(moved)))


def chosen(xp, key, old, new):
    _, accepted = accept(xp, key, new.logdensity - old.logdensity)
    pick = lambda a, b: {n: xp.where(accepted, a[n], b[n]) for n in a}  # noqa: E731
    state = langevin.State(
        pick(new.position, old.position),
        xp.where(accepted, new.logdensity, old.logdensity),
        pick(new.drift, old.drift),
    )
    return state, accepted


@pytest.mark.parametrize("broken", [uncorrected, noiseless])
def test_a_broken_mala_is_found_out(xp, broken):
    target = gaussian(xp)
    position = {"a": xp.asarray(MEAN[:2] + 0.5), "b": xp.asarray(MEAN[2:] + 0.5)}
    draws, _ = run(
        xp,
        langevin.init(xp, position, target),
        lambda key, state: broken(xp, key, state, target, 0.5),
        STEPS[xp.name],
    )
    assert z_scores(draws).max() > Z
    if broken is noiseless:
        assert draws[-100:].std(axis=0).max() < 1e-6


@pytest.mark.parametrize("drift", ["rotated", "scaled", "zero"])
def test_a_wrong_drift_without_the_accept_test_is_found_out(xp, drift):
    target = gaussian(xp, drift)
    draws, _ = run(
        xp,
        sgld.init(xp, start(xp)),
        lambda key, state: (sgld.step(xp, key, state, target(state.position)[1], 0.1)[0], ()),
        STEPS[xp.name],
    )
    error = np.abs(np.cov(draws[len(draws) // 20 :].T) - COVARIANCE).max()
    assert error > 0.4


def test_a_wrong_force_without_the_accept_test_is_found_out(xp):
    """With a force of a fifth of the gradient the leapfrog alone draws with five times the variance."""
    target = gaussian(xp, "scaled")

    def unadjusted(key, state):
        momentum = normals(xp, key, state.position)
        return hmc.leapfrog(xp, state, momentum, target, xp.asarray(0.4), steps=4)[0], ()

    draws, _ = run(xp, hmc.init(xp, start(xp), target), unadjusted, STEPS[xp.name] // 2)
    assert np.abs(np.cov(draws[len(draws) // 20 :].T) - COVARIANCE).max() > 0.8


def test_sgld_has_the_stationary_variance_of_its_step(xp):
    """On N(0, 1) with the exact gradient: 1 / (1 - ε/2)."""
    epsilon = 0.6
    draws, _ = run(
        xp,
        sgld.init(xp, {"a": xp.zeros((2000,)), "b": xp.zeros((1,))}),
        lambda key, state: (sgld.step(xp, key, state, {n: -w for n, w in state.position.items()}, epsilon)[0], ()),
        200,
    )
    # an AR(1) with coefficient 1 - ε; squares have its square
    values = draws[20:] ** 2
    decay = (1 - epsilon) ** 2
    error = values.std() / np.sqrt(values.size * (1 - decay) / (1 + decay))
    assert abs(values.mean() - 1 / (1 - epsilon / 2)) < Z * error
    assert abs(values.mean() - 1.0) > 10 * error


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


@pytest.mark.parametrize("wanted", [0.574, 0.8])
def test_a_warm_up_in_noise_ends_where_the_acceptance_is_wanted(wanted):
    """Acceptance e^-ε and noise, so that the answer is ε = -log α*; the mean is nearer to it than the last step is."""
    rng = np.random.default_rng(0)
    final, last = [], []
    for _ in range(40):
        state = adaptation.init(1e-4)
        assert adaptation.current(state) == pytest.approx(1e-4)
        for noise in rng.uniform(-0.5, 0.5, size=3000):
            state = adaptation.update(state, np.exp(-adaptation.current(state)) + noise, wanted)
        final.append(np.exp(-adaptation.final(state)) - wanted)
        last.append(np.exp(-adaptation.current(state)) - wanted)
    assert abs(np.mean(final)) < Z * np.std(final) / np.sqrt(40)
    assert np.std(final) < 0.02
    assert np.std(final) < 0.75 * np.std(last)


@pytest.mark.parametrize(("method", "wanted"), [(langevin, 0.574), (hmc, 0.8)], ids=["mala", "hmc"])
def test_adaptation_finds_the_acceptance_that_is_wanted(xp, method, wanted):
    """Ten dimensions with scales from 1 to 3; after the warm-up the step size is frozen."""
    if xp.name != "jax":
        pytest.skip("thousands of single steps: where a step compiles; the adaptation knows no backend")
    variance = xp.asarray(np.linspace(1.0, 3.0, 10) ** 2)
    options = {"steps": 4} if method is hmc else {}

    def target(position):
        w = position["a"]
        return -0.5 * xp.sum(w * w / variance), {"a": -w / variance}

    def step(key, state, size):
        key, now = xp.unstack(xp.random.split(key))
        return key, *method.step(xp, now, state, target, size, **options)

    step = xp.jit(step)
    state, found = method.init(xp, {"a": xp.zeros((10,))}, target), adaptation.init(1e-4)
    key, rates = xp.random.key(0), []
    for _ in range(1000):
        key, state, info = step(key, state, xp.asarray(adaptation.current(found)))
        found = adaptation.update(found, float(info.acceptance_probability), wanted)
    size = xp.asarray(adaptation.final(found))
    for _ in range(4000):
        key, state, info = step(key, state, size)
        rates.append(float(info.acceptance_probability))
    assert abs(np.mean(rates) - wanted) < 0.02
    assert adaptation.final(found) > 0.1, "far from where it began"


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


def sbc_ranks(xp, model_scale, replicates=400, draws=31, thinning=6, data=4):
    """Ranks of the true mean among draws from its posterior, prior N(0, 1), unit noise (Talts et al. 2018)."""

    def target_of(total):
        def target(position):
            w = position["a"]
            precision = model_scale**-2
            return xp.sum(-0.5 * precision * w * w + w * total - 0.5 * data * w * w), {
                "a": -precision * w + total - data * w
            }

        return target

    def chain(w, total, key):
        target = target_of(total)

        def move(carry, _):
            state, key = carry
            key, now = xp.unstack(xp.random.split(key))
            state, _ = langevin.step(xp, now, state, target, xp.asarray(0.25))
            return (state, key), state.position["a"][0]

        return xp.scan(move, (langevin.init(xp, {"a": w}, target), key), None, length=draws * thinning)[1]

    chain = xp.jit(chain)
    rng = np.random.default_rng(0)
    ranks = []
    for r in range(replicates):
        truth = rng.standard_normal()
        total = (truth + rng.standard_normal(data)).sum()
        begin = total / (data + 1) + rng.standard_normal() / np.sqrt(data + 1)
        values = xp.to_numpy(chain(xp.full((1,), begin), xp.full((), total), xp.random.key(r)))
        ranks.append(int((values[thinning - 1 :: thinning] < truth).sum()))
    return np.bincount(ranks, minlength=draws + 1)


def test_simulation_based_calibration(xp):
    if xp.name != "jax":
        pytest.skip("thousands of chains: where a chain compiles to one program")
    counts = sbc_ranks(xp, 1.0).reshape(8, 4).sum(axis=1)
    assert stats.chisquare(counts).pvalue > 1e-3, counts
    narrow = sbc_ranks(xp, 0.3).reshape(8, 4).sum(axis=1)
    assert stats.chisquare(narrow).pvalue < 1e-6, "a wrong prior must show"


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
