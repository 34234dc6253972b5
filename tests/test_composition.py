"""Rules, updates, devices and samplers compose: every pair from the registries learns, on every backend."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import neko
from neko.devices import DEVICES
from neko.posterior import arviz
from neko.rules import RULES, SAMPLERS
from neko.samplers import Normal
from neko.trainable import Pass, Trainable
from neko.updates import Manhattan

UPDATES = {
    **{name: name for name in ("sgd", "momentum", "nesterov", "adam", "adamw", "adamax", "rmsprop", "adagrad")},
    "naive": "naive",
    "manhattan": Manhattan(delta=2e-3),
    "manhattan, gathered": Manhattan(delta=5e-3, accumulate=2, dead_zone=1e-5),
    **{
        f"manhattan, {name}": Manhattan(device=device(dg_min_std=0.3, dg_min_dtod=0.2), w_max=2.0)
        for name, device in DEVICES.items()
    },
}
RATES = {"sgd": 0.1, "momentum": 0.02, "nesterov": 0.02, "adagrad": 0.02}
MODES = ["bptt", "rtrl", "eprop:symmetric", "eprop:random", "eprop:adaptive"]


def task(seed=0):
    """Which of two groups of inputs is the more active."""
    rng = np.random.default_rng(seed)
    label = np.arange(24) % 2
    rate = np.where((np.arange(6) < 3)[None] == (label == 0)[:, None], 0.6, 0.1)
    return (rng.random((24, 12, 6)) < rate[:, None]).astype(float), np.eye(2)[label]


def small(xp):
    model = neko.LIF(8, 2, xp, tau_m=10.0, v_th=0.6, seed=1)
    return neko.Evaluator(model, loss="categorical_crossentropy", metrics=["accuracy", "firing_rate"])


def test_the_registries_are_all_here():
    assert {name.split(":")[0] for name in MODES} == set(RULES)
    assert len(UPDATES) >= 12
    assert set(SAMPLERS) == {"langevin", "hmc", "sgld"}


@pytest.mark.parametrize("rule", MODES)
@pytest.mark.parametrize("update", sorted(UPDATES))
def test_every_rule_learns_by_every_update(xp, rule, update):
    x, y = task()
    model = small(xp)
    optimizer = UPDATES[update]
    rate = {"learning_rate": RATES.get(update, 0.01)} if isinstance(optimizer, str) and optimizer != "naive" else {}
    made = neko.rules.resolve(rule)(model, optimizer=optimizer, **rate)
    before = model.evaluate(x, y)
    assert 20.0 < before["firing_rate"] < 400.0
    for _ in range(8):
        made.step(x, y)
    after = model.evaluate(x, y)
    assert after["loss"] < before["loss"]


class Line(Trainable):
    """``y = x w`` on any backend: the smallest thing that is trainable."""

    buffers, cells, dt, task_type, outputs = None, (), 1.0, "regression", 1

    def __init__(self, xp, inputs):
        self.xp = xp
        self.params = {"w": xp.zeros((inputs, 1))}

    def prepare(self, x):
        pass

    def shape(self, x):
        return None

    def arrange(self, x):
        return x

    def clone(self):
        other = Line(self.xp, self.params["w"].shape[0])
        other.params = self.params
        return other

    def forward(self, xp, params, x, carry, *, training):
        return Pass(carry, xp.expand_dims(x @ params["w"], axis=0), (), 0.0)


def biased(factor):
    """A drift that is not the gradient."""

    class Biased(neko.BPTT):
        def differentiate(self, params, feedback, batch, carry):
            found = super().differentiate(params, feedback, batch, carry)
            return found._replace(gradients={"w": factor * found.gradients["w"]})

    return Biased


CHAINS = {
    "langevin": (functools.partial(neko.Langevin, step_size=0.01), 1200),
    "langevin, wrong drift": (functools.partial(neko.Langevin, step_size=0.01, drift=biased(0.3)), 2500),
    "hmc": (functools.partial(neko.HMC, step_size=0.05, leapfrog_steps=4), 500),
    "sgld": (functools.partial(neko.SGLD, step_size=2e-4), 2500),
}


@pytest.mark.parametrize("chain", sorted(CHAINS))
def test_samplers_find_the_posterior_of_bayesian_linear_regression(xp, chain):
    """Unit noise, prior N(0, σ²): the posterior is N(Λ⁻¹ Xᵀy, Λ⁻¹) with Λ = XᵀX + 1/σ² (Bishop 2006, eq. 3.53)."""
    sigma, n = 0.5, 23
    rng = np.random.default_rng(3)
    x = rng.standard_normal((n, 2)) @ np.array([[1.0, 0.6], [0.0, 0.8]])
    y = x @ np.array([[0.7], [-0.4]]) + rng.standard_normal((n, 1))
    covariance = np.linalg.inv(x.T @ x + np.eye(2) / sigma**2)
    mean = covariance @ (x.T @ y)[:, 0]

    make, epochs = CHAINS[chain]
    rule = make(neko.Evaluator(Line(xp, 2), loss="half_squared_error"), prior=Normal(sigma), warmup=200)
    # 23 examples in portions of 10: the last one is shorter
    batch_size = 23 if chain == "sgld" else 10
    history = neko.Trainer(rule).train(x, y, epochs=epochs, batch_size=batch_size, progress=False)
    draws = rule.posterior.draws["w"][0, :, :, 0]
    assert draws.shape == (epochs - 200, 2)
    if "acceptance" in history:
        # the exact log density, up to the constant of the noise
        w = draws[-1]
        expected = -0.5 * np.sum((y[:, 0] - x @ w) ** 2) - 0.5 * np.sum(w**2) / sigma**2
        assert history["logdensity"][-1] == pytest.approx(expected, rel=1e-10)
        assert len(set(history["step_size"][200:])) == 1, "frozen after the warm-up"
    for values, want in [
        (draws[:, 0], mean[0]),
        (draws[:, 1], mean[1]),
        ((draws[:, 0] - mean[0]) ** 2, covariance[0, 0]),
        ((draws - mean).prod(axis=1), covariance[0, 1]),
    ]:
        error = values.std() / np.sqrt(float(arviz().ess(values[None])))
        assert abs(values.mean() - want) < 4.5 * error
    if chain == "langevin, wrong drift":
        # where the gradient of the wrong drift vanishes is another place
        assert np.abs(draws.mean(axis=0) / mean - 1.0).max() < 0.3


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
@pytest.mark.parametrize("rule", MODES)
def test_every_sampler_takes_every_drift(xp, sampler, rule):
    x, y = task()
    model = small(xp)
    options = {"leapfrog_steps": 2} if sampler == "hmc" else {}
    step_size = {"langevin": 1e-4, "hmc": 1e-2, "sgld": 1e-4}[sampler]
    learner = SAMPLERS[sampler](
        model, drift=neko.rules.resolve(rule), warmup=3, step_size=step_size, chains=2, x_pred=x[:5], **options
    )
    history = neko.Trainer(learner).train(x, y, epochs=7, batch_size=10, progress=False)
    found = learner.posterior
    assert found.predictions.shape == (2, 4, 5, 2)
    np.testing.assert_allclose(found.predictions.sum(axis=-1), 1.0, rtol=1e-6)
    assert np.isfinite(history["logdensity"]).all()
    assert set(found.draws) == set(model.params)
    w = found.draws["layers.0.w_in"]
    assert not np.array_equal(w[0], w[1]), "independent chains"
    assert not np.array_equal(w[0, 0], w[0, -1]), "the chain moves"
    for name, p in model.params.items():
        assert np.array_equal(xp.to_numpy(p), found.draws[name][0, -1]), "the model is at the first chain's last draw"


def test_the_portions_do_not_matter(xp):
    x, y = task()
    chains = []
    for batch_size in (24, 8, 10):
        rule = neko.Langevin(small(xp), warmup=2, step_size=1e-4)
        neko.Trainer(rule).train(x, y, epochs=4, batch_size=batch_size, shuffle=False, progress=False)
        chains.append(rule.posterior)
    for other in chains[1:]:
        np.testing.assert_allclose(other.logdensity, chains[0].logdensity, rtol=1e-9)


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        (lambda model: neko.Langevin(model.model), TypeError, "expected an Evaluator"),
        (lambda model: neko.Langevin(model, drift=lambda model: model), TypeError, "expected a gradient rule"),
        (lambda model: neko.Langevin(model, chains=0), ValueError, "chains=0"),
        (lambda model: neko.Langevin(model, warmup=-1), ValueError, "warmup=-1"),
        (lambda model: neko.Langevin(model, step_size=0.0), ValueError, "step_size=0.0"),
        (lambda model: neko.Langevin(model, target_acceptance=1.0), ValueError, "target_acceptance=1.0"),
        (lambda model: neko.HMC(model, leapfrog_steps=0), ValueError, "leapfrog_steps=0"),
        (lambda model: neko.SGLD(model, step_size=-1.0), ValueError, "step_size=-1.0"),
        (lambda model: neko.Langevin(model).posterior, ValueError, "no draws after 0 epochs"),
        (lambda model: neko.rules.get_sampler("nuts"), ValueError, "'hmc', 'langevin', 'sgld'"),
    ],
)
def test_a_wrong_choice_is_named(wrong, error, words):
    with pytest.raises(error, match=words):
        wrong(small("torch"))


def test_a_chain_that_starts_nowhere_is_refused(xp):
    x, y = task()
    rule = neko.Langevin(
        neko.Evaluator(Line(xp, 6), loss="half_squared_error"), starts=[{"w": xp.full((6, 1), np.inf)}]
    )
    with pytest.raises(ValueError, match="where a chain starts"):
        neko.Trainer(rule).train(x[:, 0], y[:, :1], progress=False)


def test_a_penalty_is_no_part_of_a_posterior():
    model = neko.Evaluator(neko.LIF(4, 2, "torch"), loss="mse", regularizer=neko.FiringRate())
    with pytest.raises(ValueError, match="give a prior instead"):
        neko.Langevin(model)
