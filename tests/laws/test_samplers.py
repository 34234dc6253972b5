"""Samplers against densities whose moments are known, with controls that must fail."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from neko.posterior import arviz
from neko.samplers import Laplace, Normal, adaptation, hmc, langevin, sgld
from neko.samplers.prior import resolve
from neko.samplers.proposals import accept, normals

# Where a step compiles a long chain is cheap; elsewhere a shorter one has the wider bounds of its own error.
STEPS = {"jax": 60_000, "tensorflow": 2_000, "torch": 1_500}
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


def test_sgld_has_the_stationary_variance_of_its_step(xp):
    """On N(0, 1) with the exact gradient: 1 / (1 - ε/2)."""
    epsilon = 0.6
    draws, _ = run(
        xp,
        sgld.init(xp, {"a": xp.zeros((200,)), "b": xp.zeros((1,))}),
        lambda key, state: (sgld.step(xp, key, state, {n: -w for n, w in state.position.items()}, epsilon)[0], ()),
        1500,
    )
    # an AR(1) with coefficient 1 - ε; squares have its square
    values = draws[100:] ** 2
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


def test_adaptation_finds_the_acceptance_that_is_wanted(xp):
    """Ten dimensions with scales from 1 to 3; after the warm-up the step size is frozen."""
    variance = xp.asarray(np.linspace(1.0, 3.0, 10) ** 2)

    def target(position):
        w = position["a"]
        return -0.5 * xp.sum(w * w / variance), {"a": -w / variance}

    def step(key, state, size):
        key, now = xp.unstack(xp.random.split(key))
        return key, *langevin.step(xp, now, state, target, size)

    step = xp.jit(step)
    state, found = langevin.init(xp, {"a": xp.zeros((10,))}, target), adaptation.init(1e-4)
    key, rates = xp.random.key(0), []
    warmup, steps = (1000, 4000) if xp.name == "jax" else (500, 1000)
    for t in range(warmup + steps):
        size = adaptation.current(found) if t < warmup else adaptation.final(found)
        key, state, info = step(key, state, xp.asarray(size))
        rate = float(info.acceptance_probability)
        if t < warmup:
            found = adaptation.update(found, rate, 0.574)
        else:
            rates.append(rate)
    assert abs(np.mean(rates) - 0.574) < (0.02 if xp.name == "jax" else 0.04)
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


def test_what_is_not_a_number_is_rejected(xp):
    def cliff(position):
        w = position["a"]
        bad = xp.full((), float("nan"))
        return xp.where(xp.max(xp.abs(w)) > 0.5, bad, xp.zeros(())), {"a": xp.zeros_like(w)}

    for sampler, options in ((langevin, {}), (hmc, {"steps": 2})):
        state = sampler.init(xp, {"a": xp.zeros((50,))}, cliff)
        after, info = sampler.step(xp, xp.random.key(0), state, cliff, xp.asarray(4.0), **options)
        assert float(info.acceptance_probability) == 0.0
        assert np.array_equal(xp.to_numpy(after.position["a"]), np.zeros(50))


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
