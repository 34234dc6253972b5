"""Variational inference: its optimum on a normal posterior, its gradients, and the moments of spiking neurons.

Wherever an expectation over the noise ξ is a polynomial of second order in it, the mean over all ξ of ±1 is that over
normal ξ, since both have the covariance 1: such tests are exact.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
from scipy import integrate, stats

import neko
from neko.bayes import Laplace, Normal
from neko.bayes.approximate import gaussian, local, mean_field
from neko.bayes.approximate.ivon import IVON
from neko.bayes.approximate.mean_field import MeanField
from neko.bayes.approximate.newton import VariationalNewton
from significance import FALSE_ALARM, MISSED, missed_binomial, missed_normal, p_binomial, p_normal
from test_composition import Line

SIGMA, EXAMPLES = 0.5, 23
TEMPERED = [(1.0, 1.0), (8.0, 1.0), (1.0, 0.1), (0.5, 2.0)]
"""Power of the likelihood, and temperature."""


@functools.cache
def regression():
    """Inputs and targets of a linear model with unit noise."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((EXAMPLES, 2)) @ np.array([[1.0, 0.6], [0.0, 0.8]])
    return x, x @ np.array([[0.7], [-0.4]]) + rng.standard_normal((EXAMPLES, 1))


def posterior(power=1.0, prior=1.0):
    """Mean and precision of the posterior of the weights under ``N(0, SIGMA²)`` (Bishop 2006, eq. 3.53); `prior` is a
    weight of the prior, for controls."""
    x, y = regression()
    precision = power * x.T @ x + prior * np.eye(2) / SIGMA**2
    return np.linalg.solve(precision, power * x.T @ y)[:, 0], precision


def begun(xp, method=MeanField, **options):
    """A method that has seen the regression's data, without a step."""
    rule = method(neko.Evaluator(Line(xp, 2), loss="half_squared_error"), prior=Normal(SIGMA), **options)
    rule.look([rule.model.examples(*regression())])
    return rule


def placed(rule, mean, deviation):
    """Parameters of the distribution N(mean, deviation²), of any method."""
    mean, deviation = (np.asarray(a, float).reshape(2, 1) for a in (mean, deviation))
    if isinstance(rule, MeanField):
        width = np.log(deviation)
    else:
        width = rule.temperature / (rule.power * rule.examples * deviation**2) - rule.decays["w"]
    return {"w.mean": rule.xp.asarray(mean), f"w{rule.width}": rule.xp.asarray(width)}


def expected_gradient(rule, monkeypatch, params):
    """The mean over the noise of the gradient that a method's update gets, as NumPy arrays."""
    xp, found = rule.xp, []
    batch = rule.model.batch(*rule.model.examples(*regression())[:3])
    for signs in itertools.product((-1.0, 1.0), repeat=2):
        noise = {"w": xp.asarray(np.array(signs)[:, None])}

        def drawn(xp, spread, key, noise=noise):
            return {n: m + s * noise[n] for n, (m, s) in spread.items()}, noise

        for module in (gaussian, mean_field):
            monkeypatch.setattr(module, "drawn", drawn)
        gradients = rule.rules[0].gradient.differentiate(params, {}, batch, None).gradients
        found.append({name: xp.to_numpy(g) for name, g in gradients.items()})
    return {name: np.mean([g[name] for g in found], axis=0)[:, 0] for name in params}


def free_energy(mean, deviation, power=1.0, temperature=1.0):
    """F of N(mean, deviation²), up to a constant, in closed form."""
    x, y = regression()
    loss = 0.5 * np.sum((y[:, 0] - x @ mean) ** 2) + 0.5 * np.sum(deviation**2 * np.sum(x**2, axis=0))
    prior = 0.5 * np.sum(mean**2 + deviation**2) / SIGMA**2
    return loss / EXAMPLES + (prior - temperature * np.log(deviation).sum()) / (power * EXAMPLES)


@pytest.mark.parametrize(("power", "temperature"), TEMPERED)
@pytest.mark.quick("torch")
def test_the_gradient_is_that_of_the_free_energy(xp, monkeypatch, power, temperature):
    rule = begun(xp, power=power, temperature=temperature)
    at, h = np.array([0.3, -1.1, np.log(0.4), np.log(0.15)]), 1e-5

    def f(at):
        return free_energy(at[:2], np.exp(at[2:]), power, temperature)

    expected = [(f(at + h * e) - f(at - h * e)) / (2 * h) for e in np.eye(4)]
    found = expected_gradient(rule, monkeypatch, placed(rule, at[:2], np.exp(at[2:])))
    np.testing.assert_allclose(np.concatenate(list(found.values())), expected, rtol=1e-8, atol=1e-9)


class OwnNormal:
    """A normal prior that the library does not know."""

    def logdensity_and_gradient(self, xp, w):
        return Normal(SIGMA).logdensity_and_gradient(xp, w)


@pytest.mark.parametrize(("power", "temperature"), TEMPERED)
@pytest.mark.parametrize("prior", [Normal(SIGMA), OwnNormal()])
@pytest.mark.quick("torch")
def test_the_optimum_has_the_exact_mean_and_the_inverse_diagonal_of_the_precision(
    xp, monkeypatch, prior, power, temperature
):
    """F is convex in m and, for every i, has one minimum in σ_i: it is where the gradient is zero."""
    rule = MeanField(
        neko.Evaluator(Line(xp, 2), loss="half_squared_error"), prior=prior, power=power, temperature=temperature
    )
    rule.look([rule.model.examples(*regression())])
    mean, precision = posterior(power)
    deviation = np.sqrt(temperature / np.diag(precision))

    def largest(mean, deviation):
        found = expected_gradient(rule, monkeypatch, placed(rule, mean, deviation))
        return np.abs(list(found.values())).max()

    assert largest(mean, deviation) < 1e-14
    # Controls: a divergence of half or twice the weight, or of the other sign; the variances of the posterior itself.
    for factor in (0.5, 2.0, -1.0):
        wrong, of_wrong = posterior(power, factor)
        assert largest(wrong, np.sqrt(temperature / np.abs(np.diag(of_wrong)))) > 1e-4
    assert largest(mean, np.sqrt(temperature * np.diag(np.linalg.inv(precision)))) > 1e-4


def stationary(eta, deviation):
    """Standard deviations of m and log σ about the optimum under SGD of the rate η, to first order: the law of a linear
    recursion x ← x - η (A x + ζ), with the noise ζ that the draws have there."""
    x, _ = regression()
    a = x.T @ x / EXAMPLES
    pull = posterior()[1] / EXAMPLES
    noise = a @ np.diag(deviation**2) @ a
    move = np.eye(2) - eta * pull
    of_mean = eta**2 * np.linalg.solve(np.eye(4) - np.kron(move, move), noise.ravel()).reshape(2, 2)
    cross = a**2 * np.outer(deviation**2, deviation**2)
    of_log = cross.sum(axis=1) + np.diag(cross)  # Var(ξ_i σ_i Σ_j a_ij σ_j ξ_j), with Var ξ² = 2
    shrink = 1.0 - eta * 2.0 / EXAMPLES
    return np.sqrt(np.diag(of_mean)), np.sqrt(eta**2 * of_log / (1.0 - shrink**2))


def trained(xp, method, epochs, **options):
    """A method after epochs of 100 equal batches, each of which is the whole data set; so many examples count as one
    data set by the power."""
    rule = method(
        neko.Evaluator(Line(xp, 2), loss="half_squared_error"), prior=Normal(SIGMA), power=0.01, seed=4, **options
    )
    data = (np.tile(a, (100, 1)) for a in regression())
    neko.Trainer(rule).train(*data, epochs=epochs, batch_size=EXAMPLES, shuffle=False, progress=False)
    return rule


@pytest.mark.slow
def test_training_comes_to_the_optimum(xp):
    """Eight standard deviations of the stationary law are far from what an entropy of half or twice the weight would
    give; m starts at 0."""
    eta = 0.01
    rule = trained(xp, MeanField, 80, optimizer="sgd", learning_rate=eta, initial_scale=0.5)
    params = {name: xp.to_numpy(p)[:, 0] for name, p in rule.rules[0].model.params.items()}
    mean, precision = posterior()
    deviation = 1.0 / np.sqrt(np.diag(precision))
    of_mean, of_log = stationary(eta, deviation)
    assert np.all(np.abs(params["w.mean"] - mean) < 8.0 * of_mean)
    assert np.all(np.abs(params["w.log_scale"] - np.log(deviation)) < 8.0 * of_log)
    assert np.all(0.5 * np.log(2.0) > 16.0 * of_log)
    assert np.any(np.abs(mean) > 16.0 * of_mean)


@pytest.mark.quick("torch")
def test_draws_have_the_mean_and_the_deviation(xp):
    n, m, s = 20_000, np.array([0.3, -2.0]), np.array([0.5, 0.01])
    spread = {name: (xp.full((n,), m[i]), xp.full((n,), s[i])) for i, name in enumerate(("a", "b"))}
    weights, noise = gaussian.drawn(xp, spread, xp.random.key(5))
    found = np.stack([xp.to_numpy(weights[name]) for name in spread], axis=1)
    np.testing.assert_allclose(found, m + s * np.stack([xp.to_numpy(noise[n]) for n in spread], axis=1), atol=1e-14)
    law = m, np.diag(s**2)
    assert p_normal(found, *law) > FALSE_ALARM
    # Controls: the same noise in both, a tenth more of it, the variance in place of the deviation.
    same = np.outer(s, s)
    for control in (same * 0.99 + law[1] * 0.01, 1.1**2 * law[1], np.diag(s**4)):
        assert missed_normal(n, *law, m, control) < MISSED


def absolute(mean, deviation, prior):
    """E[-log p(w)] of normal w by quadrature."""
    law = stats.norm(mean, deviation)
    f = lambda w: -prior.logdensity_and_gradient(np, np.asarray(w))[0] * law.pdf(w)  # noqa: E731
    low, high = mean - 12 * deviation, mean + 12 * deviation
    ends = sorted({low, min(max(0.0, low), high), high})  # |w| has a kink at 0
    return sum(integrate.quad(f, a, b, epsabs=1e-13)[0] for a, b in itertools.pairwise(ends))


@pytest.mark.parametrize("prior", [Normal(0.7), Laplace(0.7)])
@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 0.5), (0.4, 0.3), (-2.0, 0.1), (-0.02, 1.5)])
@pytest.mark.quick("torch")
def test_the_expected_prior_is_in_closed_form(xp, prior, mean, deviation):
    h = 1e-4
    by_mean = (absolute(mean + h, deviation, prior) - absolute(mean - h, deviation, prior)) / (2 * h)
    by_deviation = (absolute(mean, deviation + h, prior) - absolute(mean, deviation - h, prior)) / (2 * h)
    found = mean_field.expected(xp, prior, xp.asarray(np.array(mean)), xp.asarray(np.array(deviation)))
    np.testing.assert_allclose([float(a) for a in found], [by_mean, by_deviation], rtol=1e-6, atol=1e-8)


NEURONS = 20_000
CELLS = {
    "plain": {},
    "scaled currents": {"input_scaling": True, "tau_m": 3.0, "v_th": 0.2},
    "bias": {"bias": True, "v_th": 0.4},
    "recurrent, refractory": {"recurrent": True, "t_ref": 4.0, "reset": "zero", "v_th": 0.7},
}


def layer(xp, units, options, **readout):
    return neko.Model(neko.cells.LIF(units, **{"recurrent": False, **options}), 3, xp, seed=2, **readout).build(2)


@pytest.mark.parametrize("cell", sorted(CELLS))
@pytest.mark.quick("torch")
def test_real_neurons_with_drawn_weights_spike_as_often_as_computed(xp, cell):
    """As many neurons as draws: all have the same mean and deviation of their weights."""
    rng, options = np.random.default_rng(6), dict(CELLS[cell], recurrent=False)
    # the third weight is the bias, of an input that is always 1
    names = {"layers.0.w_in": slice(0, 2), **({"layers.0.b": 2} if options.get("bias") else {})}
    m, s = (np.array(a)[: 1 + len(names)] for a in ((0.8, -0.5, 0.2), (0.3, 0.6, 0.4)))
    inputs = np.array([[1.2, 0.3, 1.0], [-0.5, -1.0, 1.0], [0.6, 0.9, 1.0]])[:, : len(m)]
    model = layer(xp, NEURONS, options)
    w = m[:, None] + s[:, None] * rng.standard_normal((len(m), NEURONS))
    params = model.params | {name: xp.asarray(w[rows]) for name, rows in names.items()}
    x = xp.asarray(inputs[:, :2])
    (z,) = model.forward(xp, params, xp.expand_dims(x, axis=0), None, training=False).emissions
    spread = {name: (p, 0.0 * p) for name, p in params.items()}
    for name, rows in names.items():
        spread[name] = tuple(xp.asarray(np.stack([a] * NEURONS, axis=-1)[rows]) for a in (m, s))
    p = xp.to_numpy(local.moments(xp, model.network, spread, x).spike)
    counts = xp.to_numpy(xp.sum(z[0], axis=1))
    assert np.all((p[:, 0] > 0.005) & (p[:, 0] < 0.995)), "the inputs are near the threshold"
    found = [p_binomial(count, NEURONS, one) for count, one in zip(counts, p[:, 0], strict=True)]
    assert min(found) > FALSE_ALARM
    # Controls: without the scale of currents, the threshold or the inputs' own share of the noise.
    c = 1.0 - np.exp(-1.0 / options.get("tau_m", 5.0)) if options.get("input_scaling") else 1.0
    threshold, current, noise = options.get("v_th", 1.0) / c, inputs @ m, np.sqrt(inputs**2 @ s**2)
    np.testing.assert_allclose(p[:, 0], stats.norm.cdf((current - threshold) / noise), rtol=1e-9)
    for wrong in (current / noise, (current - threshold) / np.sqrt(np.sum(s**2)), (current - 1.3 * threshold) / noise):
        missed = [missed_binomial(NEURONS, one, q) for one, q in zip(p[:, 0], stats.norm.cdf(wrong), strict=True)]
        assert min(missed) < MISSED


@pytest.mark.parametrize("readout", [{}, {"tau_out": None}, {"readout_scaling": True, "tau_out": 4.0}])
@pytest.mark.quick("torch")
def test_the_moments_of_outputs_are_those_of_all_patterns_of_spikes(xp, readout):
    """Given the spikes, the outputs of the real readout are normal; the law of total variance over all patterns."""
    rng = np.random.default_rng(7)
    model = layer(xp, 4, {"v_th": 0.3}, **readout)
    spread = {
        name: (rng.standard_normal(tuple(p.shape)), rng.uniform(0.1, 0.8, tuple(p.shape)))
        for name, p in model.params.items()
    }
    x = rng.standard_normal((5, 2))
    given = {name: (xp.asarray(m), xp.asarray(s)) for name, (m, s) in spread.items()}
    found = [xp.to_numpy(a) for a in local.moments(xp, model.network, given, xp.asarray(x))]
    p, (m, s), (bias, of_bias) = found[0], spread["readout.w_out"], spread["readout.b_out"]
    # The real readout is linear: what one spike adds is what a neuron alone gives.
    zero = {name: xp.asarray(a) for name, (a, _) in spread.items()} | {"readout.b_out": xp.zeros((3,))}
    _, one = model.network.readout.outputs(xp, zero, xp.reshape(xp.eye(4), (1, 4, 4)), xp.zeros((4, 3)))
    gain = (xp.to_numpy(one)[0] / m).mean()
    mean, square = 0.0, 0.0
    for pattern in itertools.product((0.0, 1.0), repeat=4):
        z = np.array(pattern)
        weight = np.prod(np.where(z > 0, p, 1.0 - p), axis=1)[:, None]
        center, variance = gain * z @ m + bias, gain**2 * z @ s**2 + of_bias**2
        mean, square = mean + weight * center, square + weight * (variance + center**2)
    np.testing.assert_allclose(found[1], mean, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found[2], square - mean**2, rtol=1e-9, atol=1e-12)


def curved(xp, monkeypatch, rule, mean, deviation):
    found = expected_gradient(rule, monkeypatch, placed(rule, mean, deviation))
    return found["w.mean"], found["w.hessian"]


@pytest.mark.quick("torch")
def test_ivon_reads_the_gradient_and_the_diagonal_of_the_hessian(xp, monkeypatch):
    rule = begun(xp, IVON)
    x, y = regression()
    mean = np.array([0.4, 1.0])
    gradient, hessian = curved(xp, monkeypatch, rule, mean, [0.3, 0.02])
    np.testing.assert_allclose(gradient, x.T @ (x @ mean - y[:, 0]) / EXAMPLES, rtol=1e-12)
    np.testing.assert_allclose(hessian, np.sum(x**2, axis=0) / EXAMPLES, rtol=1e-10)


@pytest.mark.parametrize(("power", "temperature"), TEMPERED)
@pytest.mark.quick("torch")
def test_ivon_rests_at_the_optimum_alone(xp, monkeypatch, power, temperature):
    """Its steps by the expected gradient: from anywhere they come to the optimum of the free energy."""
    rule = begun(xp, IVON, power=power, temperature=temperature, learning_rate=0.3, beta2=0.9)
    update, params = rule.update(), placed(rule, [2.0, -1.0], [0.9, 0.9])
    state = update.init(params)
    x, y = regression()
    a, b = x.T @ x / EXAMPLES, x.T @ y / EXAMPLES
    for _ in range(400):
        g = xp.asarray(a @ xp.to_numpy(params["w.mean"]) - b)
        params, state = update.step(
            params, {"w.mean": g, "w.hessian": xp.asarray(np.diag(a)[:, None])}, state, xp.asarray(0.3)
        )
    mean, precision = posterior(power)
    np.testing.assert_allclose(xp.to_numpy(params["w.mean"])[:, 0], mean, rtol=1e-9)
    variance = xp.to_numpy(rule.spread(params)["w"][1])[:, 0] ** 2
    np.testing.assert_allclose(variance, temperature / np.diag(precision), rtol=1e-9)
    assert np.abs(variance / np.diag(temperature * np.linalg.inv(precision)) - 1.0).max() > 0.05


@pytest.mark.quick("torch")
def test_ivon_keeps_its_variances_positive(xp):
    """h + δ after a step is ((h + δ)² + (h + δ + (1 - β₂)(ĥ - h))²) / 2(h + δ), above 0 for any ĥ."""
    update = VariationalNewton(xp, 0.9, 0.9, decays={"w": 1e-3})
    params = {"w.mean": xp.zeros((4,)), "w.hessian": xp.full((4,), 0.1)}
    curvature = np.array([-1e6, -1.0, 0.0, 1e3])
    gradients = {"w.mean": xp.ones((4,)), "w.hessian": xp.asarray(curvature)}
    params, _ = update.step(params, gradients, update.init(params), xp.asarray(0.1))
    total = 0.1 + 1e-3
    expected = (total**2 + (total + 0.1 * (curvature - 0.1)) ** 2) / (2 * total)
    np.testing.assert_allclose(xp.to_numpy(params["w.hessian"]) + 1e-3, expected, rtol=1e-9)
    # The first mean gradient is the gradient itself, without a start from zero.
    np.testing.assert_allclose(xp.to_numpy(params["w.mean"]), -0.1 / expected, rtol=1e-9)


@pytest.mark.slow
def test_ivon_comes_to_the_optimum_by_its_draws(xp):
    """Eight standard deviations of the law to which the recursions of m and h settle, to first order in their rates;
    m starts at 0, and a temperature of 2 would double the variances."""
    alpha, forget = 0.01, 5e-4
    rule = trained(xp, IVON, 100, learning_rate=alpha, beta2=1.0 - forget, hessian=0.5)
    mean, precision = posterior()
    m, s = (xp.to_numpy(a)[:, 0] for a in rule.spread(rule.rules[0].model.params)["w"])
    x, _ = regression()
    a, variance = x.T @ x / EXAMPLES, 1.0 / np.diag(precision)
    curvature = np.diag(precision) / EXAMPLES
    move = np.eye(2) - alpha * precision / EXAMPLES / curvature[:, None]
    noise = alpha**2 * a @ np.diag(variance) @ a / np.outer(curvature, curvature)
    of_mean = np.sqrt(np.diag(np.linalg.solve(np.eye(4) - np.kron(move, move), noise.ravel()).reshape(2, 2)))
    of_h = np.sqrt(0.5 * forget * ((a**2 * variance).sum(axis=1) / variance + np.diag(a) ** 2))
    assert np.all(np.abs(m - mean) < 8.0 * of_mean)
    assert np.any(np.abs(mean) > 16.0 * of_mean)
    assert np.all(np.abs(1.0 / (EXAMPLES * s**2) - curvature) < 8.0 * of_h)
    assert np.all(0.5 * curvature > 16.0 * of_h)


def steps(xp, time, cells=None, **options):
    """Mean-field inference of a spiking network that has seen sequences."""
    model = neko.Model(cells or neko.cells.LIF(5), 3, xp)
    rule = MeanField(neko.Evaluator(model, loss="categorical_crossentropy"), **options)
    rule.look([rule.model.examples(np.ones((4, time, 2)), np.eye(3)[[0, 1, 2, 0]])])
    return rule


def test_the_estimator_is_chosen_where_it_is_defined():
    def kind(*given, **options):
        return type(steps("torch", *given, **options).rules[0].gradient.inner)

    assert kind(1) is local.LocalReparametrisation
    assert kind(1, local=True) is local.LocalReparametrisation
    drawn = [kind(2), kind(1, local=False), kind(1, drift="eprop"), kind(1, neko.cells.ALIF(5))]
    assert drawn == [gaussian.Drawn] * 4


def test_means_and_deviations_begin_as_they_are_given():
    """By default with more noise where every example has its own."""

    def first(*given, **options):
        rule = steps("torch", 1, *given, **options)
        begun = {name: [np.asarray(a) for a in pair] for name, pair in rule.spread(rule.rules[0].model.params).items()}
        return [begun[name] for name in ("layers.0.w_in", "readout.w_out")], rule.model.params

    (into, out), params = first()
    np.testing.assert_allclose(into[1], 0.45 / np.sqrt(2.0), rtol=1e-6)  # of two inputs
    np.testing.assert_allclose(out[1], 0.1, rtol=1e-6)
    np.testing.assert_array_equal(into[0], params["layers.0.w_in"])
    (into, out), _ = first(local=False, initial_factor=0.5)
    np.testing.assert_allclose([into[1].max(), out[1].max()], 0.02, rtol=1e-6)
    np.testing.assert_array_equal(into[0], 0.5 * np.asarray(params["layers.0.w_in"]))
    (into, out), _ = first(initial_scale={"readout.*": 0.3, "*": 0.4}, initial_factor={"layers.*": 0.25, "*": 1.0})
    np.testing.assert_allclose([into[1].max(), out[1].max()], [0.4, 0.3], rtol=1e-6)
    np.testing.assert_array_equal(into[0], 0.25 * np.asarray(params["layers.0.w_in"]))
    np.testing.assert_array_equal(out[0], params["readout.w_out"])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: steps("torch", 2, local=True), r"inputs have \[2\] steps"),
        (lambda: steps("torch", 1, [neko.cells.LIF(5), neko.cells.LIF(4)], local=True), "more than one layer"),
        (lambda: steps("torch", 1, neko.cells.ALIF(5), local=True), "expected LIF neurons"),
        (lambda: steps("torch", 1, neko.cells.LIF(5, tau_m=neko.Learnable(5.0)), local=True), "do not learn"),
        (lambda: begun(neko.backend.get("torch"), local=True), "no network of cells"),
        (lambda: steps("torch", 1, local=True, drift="eprop"), "drift='eprop:symmetric'"),
        (lambda: steps("torch", 1, initial_scale=0.0), "initial_scale=0.0"),
        (lambda: steps("torch", 1, initial_factor=-1.0), "initial_factor=-1.0"),
        (lambda: steps("torch", 1, initial_scale={"w_*": 0.1, "*": 1.0}), r"initial_scale for \['w_\*'\]"),
        (lambda: begun(neko.backend.get("torch"), IVON, beta2=1.0), "beta2=1.0"),
        (lambda: begun(neko.backend.get("torch"), IVON, clip_radius=0.0), "clip_radius=0.0"),
    ],
)
def test_a_wrong_choice_is_named(wrong, words):
    with pytest.raises(ValueError, match=words):
        wrong()


def test_ivon_refuses_what_it_has_no_use_for():
    model = neko.Evaluator(neko.LIF(5, 3, "torch"), loss="categorical_crossentropy")
    data = model.examples(np.ones((4, 2, 2)), np.eye(3)[[0, 1, 2, 0]])
    with pytest.raises(TypeError, match="IVON is its own update"):
        IVON(model, optimizer="sgd")
    with pytest.raises(ValueError, match="use MeanField"):
        IVON(model, prior=Laplace()).look([data])
    with pytest.raises(ValueError, match="no distribution"):
        IVON(model, drift="eprop:adaptive")


@pytest.mark.quick("torch")
def test_local_reparametrisation_trains_what_the_real_network_predicts(xp):
    """The loss of the passes with the moments, and that of draws of real spiking networks."""
    rng = np.random.default_rng(8)
    y = np.arange(60) % 3
    x = rng.standard_normal((60, 1, 4)) + np.eye(3, 4)[y][:, None] * 3.0
    model = neko.Evaluator(neko.LIF(100, 3, xp), loss="categorical_crossentropy", metrics=["accuracy"])
    rule = MeanField(model, power=20.0, learning_rate=0.02, draws=40, x_pred=x, local=True)
    history = neko.Trainer(rule).train(x, np.eye(3)[y], epochs=40, batch_size=30, progress=False)
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert history["accuracy"][-1] > 0.9
    assert rule.posterior.accuracy(y) > 0.9
    of_draws = -np.log(rule.posterior.samples[:, np.arange(60), y]).mean()
    assert of_draws == pytest.approx(history["loss"][-1], abs=0.15)
