"""Approximate posteriors against closed forms, enumeration and finite differences, with controls that must fail."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest

import neko
from neko.bayes import Laplace, Normal
from neko.models.base import Pass, Trainable
from neko.rules import RULES
from neko.training.callbacks import Checkpoints
from significance import FALSE_ALARM, MISSED, missed_binomial, missed_normal, p_binomial, p_normal

X = (np.random.default_rng(0).random((24, 7, 4)) < 0.4).astype(float)
Y = np.eye(3)[np.random.default_rng(1).integers(3, size=24)]
METHODS = {
    "point": neko.PointEstimate,
    "ensemble": functools.partial(neko.Ensemble, members=2),
    "ensemble of swag": functools.partial(neko.Ensemble, of="swag", members=2, warmup=1, draws=3),
    "dropout": functools.partial(neko.Dropout, rate=0.3, draws=3),
    "swag": functools.partial(neko.SWAG, warmup=1, rank=2, draws=3),
    "laplace": functools.partial(neko.LastLayerLaplace, draws=3),
    "mean_field": functools.partial(neko.MeanField, draws=3, initial_scale=0.02),
    "ivon": functools.partial(neko.IVON, draws=3, power=1e4, hessian=0.01),
}


def network(xp, cell=neko.LIF, seed=1, **options):
    model = cell(8, 3, xp, **({"tau_m": 10.0, "v_th": 0.6} if cell is neko.LIF else {}), seed=seed)
    return neko.Evaluator(model, **{"loss": "categorical_crossentropy", "target": "mean", **options})


def train(rule, x=X, y=Y, mask=None, **options):
    trainer = neko.Trainer(rule)
    trainer.train(x, y, mask, **{"epochs": 3, "batch_size": 10, "progress": False, **options})
    return rule


class Line(Trainable):
    """``y = x w``."""

    buffers, cells, dt, task_type, outputs = None, (), 1.0, "regression", 1

    def __init__(self, xp, w):
        self.xp = xp
        self.params = {"w": xp.asarray(np.reshape(w, (-1, 1)))}

    def prepare(self, x, *, batch_size=None):
        pass

    def shape(self, x):
        return None

    def arrange(self, x):
        return x

    def clone(self):
        return Line(self.xp, self.xp.to_numpy(self.params["w"]))

    def forward(self, xp, params, x, carry, *, training):
        return Pass(carry, xp.expand_dims(x @ params["w"], axis=0), (), 0.0)


def regression(xp, mixed=0.6):
    rng = np.random.default_rng(3)
    x = rng.standard_normal((23, 2)) @ np.array([[1.0, mixed], [0.0, 1.0 - mixed]])
    y = x @ np.array([[0.7], [-0.4]]) + rng.standard_normal((23, 1))
    return x, y, neko.Evaluator(Line(xp, (0.0, 0.0)), loss="half_squared_error")


@pytest.mark.quick("torch")
@pytest.mark.parametrize("power", [1.0, 0.2])
def test_a_point_estimate_is_the_mode_of_bayesian_linear_regression(xp, power):
    """(λ XᵀX + 1/σ²)⁻¹ λ Xᵀy; the controls are least squares, and the mode with another weight of the prior."""
    x, y, model = regression(xp)
    rule = neko.PointEstimate(model, prior=0.4, power=power, temperature=3.0, optimizer="sgd", learning_rate=0.5)
    train(rule, x, y, epochs=150, batch_size=23)
    modes = [np.linalg.solve(x.T @ x + precision * np.eye(2), x.T @ y) for precision in (0.4**-2 / power, 0.0, 0.4**-2)]
    found = rule.posterior.draws["w"]
    assert found.shape == (1, 1, 2, 1)
    np.testing.assert_allclose(found[0, 0], modes[0], rtol=1e-9)
    for other in modes[1:] if power != 1.0 else modes[1:2]:
        assert np.abs(other - modes[0]).max() > 0.02
    np.testing.assert_array_equal(xp.to_numpy(model.params["w"]), found[0, 0])


@pytest.mark.quick("torch")
@pytest.mark.parametrize("drift", ["bptt", "eprop:random"])
def test_an_ensemble_is_independent_runs_bit_for_bit(xp, drift):
    """Each with a seed of its own of its weights and of the order of its batches, also where a call goes on."""
    options = {"drift": drift, "learning_rate": 0.01, "x_pred": X[:5]}

    def trained(rule, seed):
        return train(train(rule, seed=seed), seed=seed, epochs=1).posterior

    together = trained(neko.Ensemble(network(xp), members=3, **options), 4)
    for number in range(3):
        alone = trained(neko.PointEstimate(network(xp, seed=1 + number), **options), 4 + number)
        for name, w in alone.draws.items():
            np.testing.assert_array_equal(together.draws[name][number], w[0])
        np.testing.assert_array_equal(together.predictions[number], alone.predictions[0])
    for name, w in trained(neko.PointEstimate(network(xp, seed=2), **options), 4).draws.items():
        assert not np.array_equal(together.draws[name][1], w[0]), "the order matters"
    np.testing.assert_allclose(together.mean_prediction, together.predictions.mean(axis=(0, 1)), rtol=1e-12)


@pytest.mark.quick("torch")
def test_members_share_the_batches_of_a_loader(xp):
    batches = [(X[i : i + 10], Y[i : i + 10]) for i in range(0, 24, 10)]
    options = {"x": batches, "y": None, "batch_size": None}
    together = train(neko.Ensemble(network(xp), members=2), **options).posterior
    for number in range(2):
        alone = train(neko.PointEstimate(network(xp, seed=1 + number)), **options).posterior
        for name, w in alone.draws.items():
            np.testing.assert_array_equal(together.draws[name][number], w[0])


@pytest.mark.quick("torch")
@pytest.mark.parametrize("method", sorted(METHODS))
def test_an_approximation_resumes_bit_for_bit(xp, tmp_path, method):
    make = functools.partial(METHODS[method], drift="eprop", x_pred=X[:5])
    whole = train(make(network(xp)), epochs=5).posterior
    train(make(network(xp)), epochs=3, callbacks=[Checkpoints(tmp_path)])
    resumed = train(make(network(xp, seed=9)), epochs=5, resume=tmp_path).posterior
    assert sorted(resumed.draws) == sorted(whole.draws)
    for name, w in whole.draws.items():
        np.testing.assert_array_equal(resumed.draws[name], w)
    np.testing.assert_array_equal(resumed.predictions, whole.predictions)
    assert not np.array_equal(train(make(network(xp)), epochs=3).posterior.predictions, whole.predictions)


DRIFTS = [
    pytest.param(name, marks=[pytest.mark.slow] * (name != "eprop"))
    for name, rule in RULES.items()
    if rule.has_objective
]


@pytest.mark.quick("torch")
@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("drift", DRIFTS)
def test_every_approximation_takes_every_drift(xp, method, drift):
    """Masks, drawn weights and random feedback make losses of single epochs uneven; the mean of the last five is below
    that of the first two by 0.19 or more for all methods and drifts."""
    model = network(xp, seed=3, metrics=["accuracy"])
    options = {"drift": drift, "learning_rate": 0.01 if method == "ivon" else 0.03, "x_pred": X[:5]}
    if method == "ivon" and RULES[drift](model).learnt_feedback():
        with pytest.raises(ValueError, match="of which IVON has no distribution"):
            METHODS[method](model, **options)
        return
    rule = METHODS[method](model, **options)
    trainer = neko.Trainer(rule)
    history = trainer.train(X, Y, epochs=15, batch_size=12, progress=False)
    assert np.mean(history["loss"][-5:]) < np.mean(history["loss"][:2])
    found = rule.posterior
    assert found.predictions.shape[2:] == (5, 3)
    np.testing.assert_allclose(found.predictions.sum(axis=-1), 1.0, rtol=1e-6)
    assert set(found.draws) == set(model.params)
    differing = {"point": 0, "laplace": 2}.get(method, 1)
    spread = {name: np.ptp(w.reshape(-1, *w.shape[2:]), axis=0).max() for name, w in found.draws.items()}
    assert sum(width > 0.0 for width in spread.values()) >= differing
    trainer.train(X, Y, epochs=1, batch_size=24, progress=False)
    assert rule.posterior is not found


SILENT, DRAWS = 0.3, 400


@pytest.mark.quick("torch")
def test_dropout_at_a_linear_layer_has_its_variance(xp):
    """p / (1 - p) Σ (w_i x_i)², of the outputs under every mask with the exact probability of each.

    The frequencies of the masks are binomial, each with the false alarm and power of `significance`; the control is a
    rate of twice the size.
    """
    cell = neko.cells.LIF(2, v_th=0.1, recurrent=False, dt=5.0)
    model = neko.Evaluator(neko.Model([cell], 2, xp, tau_out=None), loss="mse")
    x = np.array([[[1.0, 0.0]], [[0.0, 2.0]], [[3.0, 1.0]]])
    model.build(x)
    w_in, w_out = np.eye(2), np.array([[0.5, -1.0], [2.0, 0.3]])
    model.params = {**model.params, "layers.0.w_in": xp.asarray(w_in), "readout.w_out": xp.asarray(w_out)}
    rule = neko.Dropout(model, rate=SILENT, draws=DRAWS, x_pred=x, optimizer="sgd", learning_rate=0.0, seed=5)
    found = train(rule, x, np.zeros((3, 2)), epochs=1).posterior
    kept = (found.draws["readout.w_out"][0] != 0.0).all(axis=-1)
    emitted = (x[:, 0] > 0.1).astype(float)
    mean, square = 0.0, 0.0
    for pattern in itertools.product([False, True], repeat=2):
        drawn = (kept == pattern).all(axis=1)
        p = np.prod(np.where(pattern, 1.0 - SILENT, SILENT))
        assert p_binomial(drawn.sum(), DRAWS, p) > FALSE_ALARM
        same = found.predictions[0, drawn]
        np.testing.assert_array_equal(same, np.broadcast_to(same[0], same.shape))
        mean, square = mean + p * same[0], square + p * same[0] ** 2
    assert missed_binomial(DRAWS, (1.0 - SILENT) ** 2, (1.0 - 2 * SILENT) ** 2) < MISSED
    np.testing.assert_allclose(mean, emitted @ w_out, rtol=1e-12)
    np.testing.assert_allclose(square - mean**2, SILENT / (1.0 - SILENT) * emitted**2 @ w_out**2, rtol=1e-10)
    np.testing.assert_array_equal(xp.to_numpy(model.params["readout.w_out"]), w_out, "the mean network")


@pytest.mark.quick("torch")
def test_dropout_masks_what_leaves_a_hidden_neuron(xp):
    model = neko.Evaluator(neko.Model([neko.cells.LIF(6), neko.cells.LIF(5)], 3, xp, bidirectional=True), loss="mse")
    rule = train(neko.Dropout(model, draws=20, optimizer="sgd", learning_rate=0.0), epochs=1)
    for prefix in ("", "backward."):
        for name in ("layers.1.w_in", "readout.w_out"):
            w, mean = rule.posterior.draws[prefix + name][0], xp.to_numpy(model.params[prefix + name])
            silent = (w == 0.0).all(axis=-1)
            assert 0.2 < silent.mean() < 0.8
            np.testing.assert_allclose(w, np.where(silent[..., None], 0.0, 2.0 * mean), rtol=1e-12)
        for name in ("layers.0.w_in", "layers.0.w_rec", "layers.1.w_rec", "readout.b_out"):
            w = rule.posterior.draws[prefix + name][0]
            np.testing.assert_array_equal(w, np.broadcast_to(xp.to_numpy(model.params[prefix + name]), w.shape))


def test_dropout_masks_the_inputs_of_the_named_weights_of_a_module():
    """Channels of a convolution, features of a linear layer."""
    torch = pytest.importorskip("torch")
    layers = [torch.nn.Conv1d(7, 5, 1), torch.nn.Flatten(), torch.nn.Linear(20, 3)]
    model = neko.Evaluator(torch.nn.Sequential(*layers), loss="categorical_crossentropy")
    rule = train(neko.Dropout(model, weights=["0.*", "2.weight"], draws=30, seed=1, x_pred=X), epochs=1)
    found = rule.posterior
    assert found.predictions.std(axis=1).max() > 0.01
    for name, inputs in (("0.weight", 2), ("2.weight", 2)):
        w, mean = found.draws[name][0], model.xp.to_numpy(model.params[name])
        silent = (np.moveaxis(w, inputs, 1).reshape(30, w.shape[inputs], -1) == 0.0).all(axis=-1)
        assert 0.2 < silent.mean() < 0.8
        mask = np.where(silent, 0.0, 2.0).reshape(30, 1, -1, *[1] * (w.ndim - 3))
        np.testing.assert_allclose(w, mask * mean, rtol=1e-6)
    w = found.draws["0.bias"][0]
    np.testing.assert_array_equal(w, np.broadcast_to(model.xp.to_numpy(model.params["0.bias"]), w.shape))


@pytest.mark.quick("torch")
@pytest.mark.parametrize("prior", [Normal(0.7), Laplace(0.7)])
def test_dropout_has_the_mean_gradient_over_all_masks(xp, prior):
    """Σ P(m) m/(1-p) · ∇(-log p)(m M/(1-p)) of the prior's term, and the chain rule through a mask for the loss."""
    model = neko.Evaluator(neko.GRU(3, 3, xp, seed=2), loss="categorical_crossentropy")
    model.build(X)
    rule = neko.Dropout(model, rate=SILENT, prior=prior)
    rule.resolve_priors()
    key = xp.random.key(4)
    found = rule.complexity(model.params, key)["readout.w_out"]
    w, mean = xp.to_numpy(model.params["readout.w_out"]), 0.0
    for pattern in itertools.product([0.0, 1.0], repeat=3):
        mask = np.array(pattern)[:, None] / (1.0 - SILENT)
        p = np.prod(np.where(np.array(pattern) == 1.0, 1.0 - SILENT, SILENT))
        mean = mean - p * mask * xp.to_numpy(prior.logdensity_and_gradient(xp, xp.asarray(mask * w))[1])
    np.testing.assert_allclose(xp.to_numpy(found), mean, rtol=1e-12)

    batch = model.batch(xp.asarray(X), xp.asarray(Y), None)
    loss = rule.expected_loss(model, key)
    found = loss.differentiate(model.params, {}, batch._replace(number=xp.scalar(2.0)), None)
    step, name = 1e-5, "readout.w_out"
    for index in np.ndindex(2, 2):
        ends = []
        for sign in (1.0, -1.0):
            moved = w.copy()
            moved[index] += sign * step
            params = {**model.params, name: xp.asarray(moved)}
            ends.append(float(loss.differentiate(params, {}, batch._replace(number=xp.scalar(2.0)), None).forward.loss))
        expected = (ends[0] - ends[1]) / (2.0 * step)
        np.testing.assert_allclose(float(found.gradients[name][index]), expected, rtol=1e-6, atol=1e-9)
    other = loss.differentiate(model.params, {}, batch._replace(number=xp.scalar(3.0)), None)
    assert float(other.forward.loss) != float(found.forward.loss), "each update has its own mask"


@pytest.mark.quick("torch")
def test_swag_has_the_moments_of_the_recorded_iterates(xp):
    x, y, model = regression(xp, mixed=0.9)
    rule = neko.SWAG(model, warmup=2, rank=3, optimizer="sgd", learning_rate=0.4, draws=2000, temperature=0.5, seed=3)
    trainer, iterates = neko.Trainer(rule), []
    for epoch in range(8):
        trainer.train(x, y, epochs=1, batch_size=5, seed=epoch, progress=False)
        iterates.append(xp.to_numpy(model.params["w"]).copy())
    kept = np.array(iterates[2:])
    (found,) = rule.moments
    running = [kept[i] - kept[: i + 1].mean(axis=0) for i in range(len(kept))]
    assert kept.std(axis=0).min() > 1e-3
    np.testing.assert_allclose(found.mean["w"], kept.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.squares["w"] / found.iterates, kept.var(axis=0), rtol=1e-9)
    np.testing.assert_allclose(found.deviations["w"], running[-3:], rtol=1e-9, atol=1e-12)

    low = np.array(running[-3:])[..., 0]
    covariance = 0.5 * (0.5 * np.diag(kept.var(axis=0)[:, 0]) + low.T @ low / (2.0 * 2.0))
    draws, mean = rule.posterior.draws["w"][0, :, :, 0], kept.mean(axis=0)[:, 0]
    assert p_normal(draws, mean, covariance) > FALSE_ALARM
    for control in (2.0 * covariance, np.diag(np.diag(covariance)), 0.25 * np.diag(kept.var(axis=0)[:, 0])):
        assert missed_normal(len(draws), mean, covariance, mean, control) < MISSED


def targets(kind):
    """Options of an evaluator, a target and a mask, for every place where a loss may apply."""
    if kind == "every frame":
        return {"target": "every"}, np.eye(3)[np.random.default_rng(2).integers(3, size=(24, 7))], None
    mask = (np.arange(7) < np.random.default_rng(3).integers(3, 8, size=(24, 1))).astype(float)
    if kind == "frames of any number":
        return {"target": "every", "reduction": "sum"}, targets("every frame")[1], mask
    return {"target": kind}, Y, mask


@pytest.mark.quick("torch")
@pytest.mark.parametrize("loss", ["categorical_crossentropy", "half_squared_error"])
@pytest.mark.parametrize("target", ["mean", "last", "every", "every frame", "frames of any number"])
@pytest.mark.filterwarnings("ignore:the target has a value at every step")
def test_the_curvature_of_the_readout_is_the_hessian_by_finite_differences(xp, target, loss):
    """Of -(λ log L + log p) by the readout, from its exact gradient, for two directions of time."""
    options, y, mask = targets(target)
    cells = [neko.cells.LIF(4, tau_m=10.0, v_th=0.4), neko.cells.LIF(2, tau_m=10.0, v_th=0.4)]
    model = neko.Evaluator(neko.Model(cells, 3, xp, bidirectional=True, seed=4), loss=loss, **options)
    rule = neko.LastLayerLaplace(
        model, covariance="full", power=1.7, prior=Normal(0.8), optimizer="sgd", learning_rate=0.0
    )
    train(rule, X, y, mask, epochs=1, batch_size=24)
    names = [f"{prefix}readout.{name}" for prefix in ("", "backward.") for name in ("w_out", "b_out")]
    noise = rule.noise(model.params)
    units = np.eye(18).reshape(18, 6, 3)
    root = np.array([noise(unit).ravel() for unit in units])
    hessian = np.linalg.inv(root.T @ root)

    gradient = neko.BPTT(model)
    sizes = [int(np.prod(model.params[name].shape)) for name in names]
    assert sizes == [6, 3, 6, 3]
    start, step, expected = dict(model.params), 1e-4, []
    for unit in np.eye(18):
        ends = []
        for sign in (1.0, -1.0):
            parts = zip(names, np.split(sign * step * unit, np.cumsum(sizes)[:-1]), strict=True)
            moved = {n: start[n] + xp.reshape(xp.asarray(part), tuple(start[n].shape)) for n, part in parts}
            model.params = {**start, **moved}
            _, g = gradient.gradients(X, y, mask)
            ends.append(np.concatenate([xp.to_numpy(g[n]).ravel() for n in names]))
        expected.append(1.7 * 24 * (ends[0] - ends[1]) / (2.0 * step) + unit / 0.8**2)
    assert np.abs(np.linalg.eigvalsh(hessian)).max() > 2 * 0.8**-2, "the data count"
    np.testing.assert_allclose(hessian, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.quick("torch")
@pytest.mark.parametrize("covariance", ["full", "kronecker"])
def test_laplace_is_the_conjugate_posterior_of_a_linear_gaussian_readout(xp, covariance):
    """N(Λ⁻¹ λ Φᵀy, T Λ⁻¹) with Λ = λ ΦᵀΦ + 1/σ² (Bishop 2006, eq. 3.53), where the readout begins at its mean.

    Controls: the posterior at another temperature, and that of half of the data.
    """
    power, temperature, scale = 1.5, 0.4, 0.9
    model = neko.Evaluator(
        neko.Model([neko.cells.LIF(2, tau_m=10.0, v_th=0.4)], 1, xp, seed=4), loss="half_squared_error", target="mean"
    )
    model.build(X)
    z, y = model.model.record(X)[0].z, X.mean(axis=(1, 2))[:, None]
    kappa, filtered, steps = model.model.network.readout.kappa, np.zeros((24, 2)), []
    for t in range(7):
        filtered = kappa * filtered + z[:, t]
        steps.append(filtered)
    phi = np.concatenate([np.mean(steps, axis=0), np.ones((24, 1))], axis=1)
    assert np.linalg.matrix_rank(phi) == 3

    def posterior(weight):
        inverse = np.linalg.inv(weight * power * phi.T @ phi + np.eye(3) / scale**2)
        return inverse @ (weight * power * phi.T @ y)[:, 0], temperature * inverse

    mean, expected = posterior(1.0)
    readout = {"readout.w_out": xp.asarray(mean[:2, None]), "readout.b_out": xp.asarray(mean[2:])}
    model.params = {**model.params, **readout}
    options = {"power": power, "temperature": temperature, "prior": Normal(scale), "draws": 2000, "seed": 2}
    rule = neko.LastLayerLaplace(model, covariance=covariance, optimizer="sgd", learning_rate=0.0, **options)
    found = train(rule, X, y, epochs=1).posterior
    draws = np.concatenate([found.draws["readout.w_out"][0, :, :, 0], found.draws["readout.b_out"][0]], axis=1)
    assert p_normal(draws, mean, expected) > FALSE_ALARM
    assert missed_normal(2000, mean, expected, mean, expected / temperature) < MISSED
    assert missed_normal(2000, mean, expected, *posterior(0.5)) < MISSED
    w = found.draws["layers.0.w_in"][0]
    np.testing.assert_array_equal(w, np.broadcast_to(xp.to_numpy(model.params["layers.0.w_in"]), w.shape))


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda model: neko.Ensemble(model, of="langevin"), TypeError, "expected an approximation"),
        (lambda model: neko.Ensemble(model, chains=3), TypeError, "expected members"),
        (lambda model: neko.Dropout(model, rate=1.0), ValueError, r"rate=1.0"),
        (lambda model: neko.SWAG(model, rank=1), ValueError, "rank=1"),
        (lambda model: neko.LastLayerLaplace(model, covariance="diagonal"), ValueError, "'diagonal'"),
        (lambda model: neko.Dropout(neko.Evaluator(Line(model.xp, [0.0]), loss="mse")), TypeError, "hidden layers"),
        (lambda model: train(neko.Dropout(model, weights=["layers.3.*"])), ValueError, r"weights=\['layers.3"),
        (lambda model: neko.LastLayerLaplace(neko.Evaluator(Line(model.xp, [0.0]), loss="mse")), TypeError, "readout"),
        (lambda model: train(neko.SWAG(model)).posterior, ValueError, "no moments after 3 epochs"),
        (lambda model: train(neko.LastLayerLaplace(model, prior=Laplace())).posterior, ValueError, "expected a Normal"),
        (lambda model: neko.PointEstimate(model).posterior, ValueError, "before the first epoch"),
    ],
)
def test_a_wrong_choice_is_named(make, error, words):
    with pytest.raises(error, match=words):
        make(network("torch"))
