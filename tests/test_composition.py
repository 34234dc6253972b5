"""Rules, updates, devices and samplers compose: every pair from the registries learns, on every backend."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import neko
from neko.bayes import METHODS, Normal
from neko.bayes.sampling import Sampling
from neko.devices import DEVICES, SoftBounds
from neko.models.base import Pass, Trainable
from neko.rules import RULES
from neko.training.pairs import resolve
from neko.updates import Coincidences, Manhattan, MixedPrecision, ProbabilisticPulses, TikiTaka
from significance import FALSE_ALARM, MISSED, missed_normal, p_normal

UPDATES = {
    **{name: name for name in ("sgd", "momentum", "nesterov", "adam", "adamw", "adamax", "rmsprop", "adagrad")},
    "naive": "naive",
    "manhattan": Manhattan(delta=5e-3),
    "manhattan, gathered": Manhattan(delta=1e-2, accumulate=2, dead_zone=1e-5),
    **{
        f"manhattan, {name}": Manhattan(device=device(dg_min_std=0.3, dg_min_dtod=0.2), w_max=2.0)
        for name, device in DEVICES.items()
    },
    "mixed precision": MixedPrecision(
        device=SoftBounds(dg_min_std=0.3), optimizer="adam", learning_rate=0.01, w_max=2.0
    ),
    "probabilistic pulses": ProbabilisticPulses(device=SoftBounds(dg_min_std=0.3), learning_rate=0.1, w_max=2.0),
    "coincidences": Coincidences(learning_rate=0.1, w_max=2.0, rank=4),
    "tiki-taka": TikiTaka(device=SoftBounds(up_down=0.1), learning_rate=1.0, w_max=2.0),
}
RATES = {"sgd": 0.1, "momentum": 0.02, "nesterov": 0.02, "adagrad": 0.02}
STEP = {
    name: {"learning_rate": RATES.get(name, 0.01)} if isinstance(update, str) else {}
    for name, update in UPDATES.items()
} | {"naive": {"clip_norm": 0.3}}
"""What keeps a step short; the naive update has the rate 1."""
CORE = ["bptt", "rtrl", "eprop:symmetric", "eprop:random", "eprop:adaptive"]
MODES = [*CORE, *(name for name in RULES if name not in ("bptt", "rtrl", "eprop"))]
FEW = ("adam",)
"""The update that runs with every rule in every test run; with BPTT all do."""


def usual(rule, other):
    return rule == "bptt" or other in FEW


def pairs(rules, others, quick=usual):
    """Every rule with every other part; what is not `quick` is left to `make proofs`."""
    return [
        pytest.param(rule, other, marks=[pytest.mark.slow] * (not quick(rule, other)))
        for rule in rules
        for other in others
    ]


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
    assert set(METHODS) >= {
        "langevin",
        "hmc",
        "sgld",
        "mean_field",
        "ivon",
        "point",
        "ensemble",
        "dropout",
        "swag",
        "laplace",
    }


def learning(model, rule, update, x):
    """A rule with an update, where it must learn at once.

    Random feedback descends only once the readout has come to agree with it, which takes longer than a test: here the
    readout begins there.
    """
    made = resolve(rule)(model, optimizer=UPDATES[update], **STEP.get(update, {}))
    model.build(x)
    feedback = made.gradient.initial_feedback()
    if "feedback.0" in feedback:
        model.params = {**model.params, "readout.w_out": model.xp.permute_dims(feedback["feedback.0"], (1, 0))}
    for name, b in feedback.items():
        weight = name.removeprefix("feedback.")
        if weight in model.params and b.shape == model.params[weight].shape:
            model.params = {**model.params, weight: b}
    return made


@pytest.mark.parametrize(("rule", "update"), pairs(MODES, sorted(UPDATES)))
def test_every_rule_learns_by_every_update(xp, rule, update):
    x, y = task()
    model = small(xp)
    made = learning(model, rule, update, x)
    before = model.evaluate(x, y)
    assert 20.0 < before["firing_rate"] < 800.0
    for _ in range(8):
        made.step(x, y)
    after = model.evaluate(x, y)
    assert after["loss"] < 0.95 * before["loss"]


class Line(Trainable):
    """``y = x w`` on any backend: the smallest thing that is trainable."""

    buffers, cells, dt, task_type, outputs = None, (), 1.0, "regression", 1

    def __init__(self, xp, inputs):
        self.xp = xp
        self.params = {"w": xp.zeros((inputs, 1))}

    def prepare(self, x, *, batch_size=None):
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

    class Biased(neko.rules.BPTT):
        def differentiate(self, params, feedback, batch, carry):
            found = super().differentiate(params, feedback, batch, carry)
            return found._replace(gradients={"w": factor * found.gradients["w"]})

    return Biased


SAMPLERS = [name for name, method in METHODS.items() if issubclass(method, Sampling)]
SHORT = {
    "langevin": {"step_size": 1e-4},
    "hmc": {"step_size": 1e-6, "leapfrog_steps": 2},
    "random_walk": {"step_size": 1e-2},
    "block_gibbs": {},
    "sgld": {"step_size": 1e-4},
    "sghmc": {"step_size": 1e-4},
    "psgld": {"step_size": 1e-3},
    "cyclical_sgld": {"step_size": 1e-4, "cycle_epochs": 2, "exploration": 0.0},
    "cyclical_sghmc": {"step_size": 1e-4, "cycle_epochs": 2, "exploration": 0.0},
}
"""Options of a sampler for a few epochs with a draw each.

The step of HMC keeps the energy to 1e-2 under any drift, also where the warm-up makes it 40 times as long: fewer than
one in 100 proposals are rejected, and three in a row once in a million.
"""
BASIC = ("hmc", "langevin", "sgld")
"""Samplers that run with the rules of `CORE` in every test run; the others have their epochs."""
CHAINS = {
    "langevin": functools.partial(neko.Langevin, step_size=0.02),
    "langevin, wrong drift": functools.partial(neko.Langevin, step_size=0.03, drift=biased(0.3)),
    "hmc": functools.partial(neko.HMC, step_size=0.07, leapfrog_steps=4),
    "random_walk": functools.partial(neko.RandomWalk, step_size=0.3),
    "sgld": functools.partial(neko.SGLD, step_size=0.02),
    "sghmc": functools.partial(neko.SGHMC, step_size=0.02, friction=0.6),
}
LINEAR = {"sgld": 1.0, "sghmc": 0.6}
"""Friction of the samplers without an accept test; SGLD is SGHMC of friction 1."""
SIGMA, EXAMPLES = 0.5, 23


def regression():
    """Unit noise, prior N(0, σ²): the posterior is N(Λ⁻¹ Xᵀy, Λ⁻¹) with Λ = XᵀX + 1/σ² (Bishop 2006, eq. 3.53)."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((EXAMPLES, 2)) @ np.array([[1.0, 0.6], [0.0, 0.8]])
    return x, x @ np.array([[0.7], [-0.4]]) + rng.standard_normal((EXAMPLES, 1))


def sampled(xp, chain, epochs, **options):
    """A sampler of the regression's weights after some epochs, and its history.

    23 examples in portions of 10: the last one is shorter. Samplers without an accept test take them as one batch,
    which makes their law known.
    """
    rule = CHAINS[chain](neko.Evaluator(Line(xp, 2), loss="half_squared_error"), prior=Normal(SIGMA), **options)
    size = EXAMPLES if chain in LINEAR else 10
    history = neko.Trainer(rule).train(*regression(), epochs=epochs, batch_size=size, progress=False)
    return rule, history


@pytest.mark.quick("torch")
@pytest.mark.parametrize("chain", sorted(set(CHAINS) - set(LINEAR)))
def test_samplers_move_by_the_posterior_of_bayesian_linear_regression(xp, chain):
    """The density of every draw, up to the constant of the noise, and what MALA accepts, word for word."""
    rule, history = sampled(xp, chain, 50, warmup=20)
    assert len(set(history["step_size"][20:])) == 1, "frozen after the warm-up"
    draws = rule.posterior.draws["w"][0, :, :, 0]
    assert draws.shape == (30, 2)
    (x, y), epsilon = regression(), history["step_size"][-1]
    y = y[:, 0]
    density = [-0.5 * np.sum((y - x @ w) ** 2) - 0.5 * np.sum(w**2) / SIGMA**2 for w in draws]
    np.testing.assert_allclose(rule.posterior.logdensity[0], density, rtol=1e-10)
    moved = [t for t in range(1, 30) if not np.array_equal(draws[t], draws[t - 1])]
    assert len(moved) > 3
    for t in moved if "langevin" in chain else []:

        def log_q(to, origin):
            likelihood = x.T @ (y - x @ origin)
            drift = (0.3 if "wrong" in chain else 1.0) * likelihood - origin / SIGMA**2
            return -np.sum((to - origin - epsilon * drift) ** 2) / (4 * epsilon)

        log_ratio = density[t] - density[t - 1] + log_q(draws[t - 1], draws[t]) - log_q(draws[t], draws[t - 1])
        assert rule.posterior.acceptance[0, t] == pytest.approx(min(1.0, np.exp(log_ratio)), rel=1e-8)


@pytest.mark.quick("torch")
def test_the_density_has_the_power_and_the_temperature(xp):
    """``(λ log L + log p) / T`` of what is accepted, and its gradient in what takes batches."""
    (x, y), power, temperature = regression(), 2.0, 0.25
    options = {"power": power, "temperature": temperature, "warmup": 0}

    def density(w):
        return (-0.5 * power * np.sum((y - x @ w) ** 2) - 0.5 * np.sum(w**2) / SIGMA**2) / temperature

    rule, _ = sampled(xp, "random_walk", 5, **options)
    np.testing.assert_allclose(
        rule.posterior.logdensity[0], [density(w) for w in rule.posterior.draws["w"][0]], rtol=1e-10
    )
    rule, _ = sampled(xp, "sghmc", 1, **options)
    w = np.array([[0.3], [0.2]])
    batch = rule.model.examples(x, y)[:3]
    value, gradient = rule.estimate({"w": xp.asarray(w)}, rule.feedback, rule.model.model.buffers, batch)
    assert float(value) == pytest.approx(density(w), rel=1e-10)
    expected = (power * x.T @ (y - x @ w) - w / SIGMA**2) / temperature
    np.testing.assert_allclose(xp.to_numpy(gradient["w"]), expected, rtol=1e-10)


def law_without_accept_test(precision, epsilon, friction, epochs):
    """Covariance of the weights after some steps of SGHMC from the posterior, at rest: a linear map of both."""
    one, none = np.eye(2), np.zeros((2, 2))
    kick = np.block([[one, none], [-np.sqrt(epsilon) * precision, (1.0 - friction) * one]])
    drift = np.block([[one, np.sqrt(epsilon) * one], [none, one]])
    noise = drift @ np.block([[none, none], [none, 2.0 * friction * one]]) @ drift.T
    whole = np.block([[np.linalg.inv(precision), none], [none, none]])
    for _ in range(epochs):
        whole = drift @ kick @ whole @ kick.T @ drift.T + noise
    return whole[:2, :2]


@pytest.mark.parametrize(
    "chains_of",
    [
        *sorted(set(CHAINS) - {"random_walk", "sghmc", "hmc"}),
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("sghmc", "hmc")),
    ],
)
def test_samplers_find_the_posterior_of_bayesian_linear_regression(xp, chains_of):
    """Chains that start in exact draws of the posterior are there after some epochs, each with its own noise.

    False alarm and power as in `significance`. The controls are the posterior without the prior, and that of half of
    the data; they are what the chains would come to, whose memory of the start is below 1 % after these epochs.
    """
    (x, y), chains, epochs = regression(), 600, 8
    precision = x.T @ x + np.eye(2) / SIGMA**2
    covariance = np.linalg.inv(precision)
    mean = covariance @ (x.T @ y)[:, 0]
    starts = np.random.default_rng(0).multivariate_normal(mean, covariance, size=chains, method="cholesky")
    positions = [{"w": xp.asarray(w[:, None])} for w in starts]
    rule, _ = sampled(xp, chains_of, epochs, warmup=0, starts=positions)
    ends = rule.posterior.draws["w"][:, -1, :, 0]
    expected = covariance
    if chains_of in LINEAR:
        expected = law_without_accept_test(precision, 0.02, LINEAR[chains_of], epochs)
    assert p_normal(ends, mean, expected) > FALSE_ALARM
    for weight, prior in ((1.0, 0.0), (0.5, 1.0)):
        control = np.linalg.inv(weight * x.T @ x + prior * np.eye(2) / SIGMA**2)
        assert missed_normal(chains, mean, expected, weight * control @ (x.T @ y)[:, 0], control) < MISSED
    memory = [np.corrcoef(*pair)[0, 1] for pair in zip(starts.T, ends.T, strict=True)]
    assert np.abs(memory).max() < 0.5


@pytest.mark.parametrize(
    ("driven_by", "sampler"),
    pairs(
        [name for name in MODES if RULES[name.partition(":")[0]].has_objective],
        sorted(SAMPLERS),
        lambda rule, sampler: rule == "bptt" or (rule in CORE and sampler in BASIC),
    ),
)
def test_every_sampler_takes_every_drift(xp, sampler, driven_by):
    x, y = task()
    model = small(xp)
    learner = METHODS[sampler](
        model, drift=neko.rules.resolve(driven_by), warmup=3, chains=2, x_pred=x[:5], **SHORT[sampler]
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


@pytest.mark.quick("torch")
def test_the_portions_do_not_matter(xp):
    x, y = task()
    chains = []
    for batch_size in (24, 10):
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
        (lambda model: neko.RandomWalk(model, scale={"w": 0.0}), ValueError, r"scale\['w'\]=0.0"),
        (lambda model: neko.SGHMC(model, friction=0.0), ValueError, "friction=0.0"),
        (lambda model: neko.CyclicalSGHMC(model, friction=1.5), ValueError, "friction=1.5: expected .* at most 1"),
        (lambda model: neko.PSGLD(model, decay=1.0), ValueError, "decay=1.0: expected a number from 0 to below 1"),
        (lambda model: neko.PSGLD(model, damping=0.0), ValueError, "damping=0.0"),
        (lambda model: neko.CyclicalSGLD(model, cycle_epochs=0), ValueError, "cycle_epochs=0"),
        (lambda model: neko.CyclicalSGLD(model, cycle_epochs=4, exploration=0.8), ValueError, "from 0 to 0.75"),
        (lambda model: neko.Langevin(model).posterior, ValueError, "no draws after 0 epochs"),
        (lambda model: METHODS.get("nuts"), ValueError, "'hmc', .*'langevin', .*'sgld'"),
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
