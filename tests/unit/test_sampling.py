"""Samplers as learners: the data and the density that their chains are of, N, and what they are given."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest

import neko
from neko import backend as backends
from neko.bayes import Laplace, Normal
from neko.data import size as data_size
from neko.errors import SamplingWarning
from regression import Line

SAMPLERS = {
    "hmc": functools.partial(neko.HMC, step_size=0.05, leapfrog_steps=2),
    "langevin": functools.partial(neko.Langevin, step_size=0.01),
    "sgld": functools.partial(neko.SGLD, step_size=1e-4),
}


def data(seed=0, examples=12):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((examples, 2))
    return x, x @ np.array([[1.0], [-0.5]]) + rng.standard_normal((examples, 1))


def evaluator(backend="torch", **options):
    xp = backends.get(backend, dtype="float64")
    with xp.scope():
        return neko.Evaluator(Line(xp), loss="half_squared_error", **options)


def trained(sampler, x, y=None, epochs=4, **options):
    rule = SAMPLERS[sampler](evaluator(), **{"warmup": 2, **options})
    trainer = neko.Trainer(rule)
    trainer.train(x, y, epochs=epochs, progress=False)
    return rule, trainer


def portions(x, y, order, size):
    return [(x[c], y[c]) for c in np.split(order, range(size, len(x), size))]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_same_data_go_on_and_others_are_refused(sampler):
    x, y = data()
    rule, trainer = trained(sampler, x, y)
    order = np.random.default_rng(1).permutation(len(x))
    forms = [
        ((x.copy(), y.copy()), {"batch_size": 5}),
        ((x[order], y[order]), {}),
        ((x.tolist(), y.tolist()), {"shuffle": False}),
        ((portions(x, y, order, 4),), {}),
    ]
    for given, options in forms:
        trainer.train(*given, epochs=2, progress=False, **options)
    assert rule.posterior.logdensity.shape == (1, 4 - 2 + 2 * len(forms))
    before = rule.posterior.draws["w"]
    others = [data(1), data(0, 11), (x, y[::-1]), (np.concatenate([x, x[:1]]), np.concatenate([y, y[:1]]))]
    for other in others:
        with pytest.raises(ValueError, match=r"chains are of 12 examples.*this call has 1[123] examples"):
            trainer.train(*other, epochs=2, progress=False)
        with pytest.raises(ValueError, match="make a new sampler"):
            trainer.train(portions(*other, np.arange(len(other[0])), 4), epochs=2, progress=False)
    np.testing.assert_array_equal(rule.posterior.draws["w"], before)
    trainer.train(x, y, progress=False)


@pytest.mark.quick("torch")
@pytest.mark.parametrize("backend", [name for name in backends.installed() if name != "torch"])
def test_other_data_are_refused_on_every_backend(backend):
    """Where a compiled step holds the first data's N."""
    trainer = neko.Trainer(neko.SGLD(evaluator(backend), step_size=1e-4))
    trainer.train(*data(), progress=False)
    with pytest.raises(ValueError, match="chains are of 12 examples"):
        trainer.train(*data(0, 24), progress=False)


def replace(name, value):
    def change(rule):
        setattr(rule, name, value)

    return change


def replace_objective(**options):
    def change(rule):
        rule.model.objective = evaluator(**options).objective

    return change


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (replace("prior", Normal(3.0)), r"prior.scale=1.0: now it is 3.0"),
        (replace("prior", Laplace(1.0)), r"prior=Normal\(scale=1.0\): now it is Laplace\(scale=1.0\)"),
        (replace("x_pred", data(2)[0][:3]), "x_pred="),
        (replace("thinning", 2), "thinning=1: now it is 2"),
        (replace_objective(reduction="sum"), r"objective.reduction='mean': now it is 'sum'"),
        (replace_objective(target="last"), r"objective.target="),
    ],
)
def test_another_density_is_refused(change, words, sampler):
    x, y = data()
    rule, trainer = trained(sampler, x, y, x_pred=x[:3])
    change(rule)
    with pytest.raises(ValueError, match=words):
        trainer.train(x, y, progress=False)


def test_parameters_from_outside_move_no_chain():
    x, y = data()
    rule, trainer = trained("hmc", x, y)
    end = rule.model.params["w"]
    rule.model.params = {"w": end + 100.0}
    with pytest.warns(SamplingWarning, match="'w' of the model was changed since"):
        trainer.train(x, y, progress=False)
    assert np.abs(rule.posterior.draws["w"]).max() < 10.0
    assert np.array_equal(rule.model.params["w"], rule.posterior.draws["w"][0, -1])
    trainer.train(x, y, progress=False)


def loaders(x, y, size=5):
    torch = pytest.importorskip("torch")
    tensors = torch.utils.data.TensorDataset(torch.tensor(x), torch.tensor(y))
    return torch.utils.data, tensors, functools.partial(torch.utils.data.DataLoader, tensors, size)


def test_n_is_the_number_of_examples_of_the_data_set():
    x, y = data()
    module, tensors, loader = loaders(x, y)
    subset = module.SubsetRandomSampler([0, 2, 4, 6, 7, 8, 9])
    again = module.RandomSampler(tensors, replacement=True, num_samples=30)
    for given, expected in [
        (loader(), 12),
        (loader(shuffle=True, drop_last=True), 12),
        (loader(sampler=subset, drop_last=True), 7),
        (loader(sampler=again), 12),
        (module.DataLoader(module.Subset(tensors, range(8)), 5, drop_last=True), 8),
        (module.DataLoader(portions(x, y, np.arange(12), 4), batch_size=None), 12),
        (portions(x, y, np.arange(12), 7), 12),
    ]:
        rule, trainer = trained("sgld", given)
        assert rule.examples == expected
        trainer.train(given, epochs=2, progress=False)  # other examples of the one data set


def test_n_of_tf_data():
    tf = pytest.importorskip("tensorflow")
    x, y = data()
    whole = tf.data.Dataset.from_tensor_slices((x, y))
    for made, expected in [
        (whole.batch(5), 12),
        (whole.batch(5, drop_remainder=True), 12),
        (whole.shuffle(12).batch(5, drop_remainder=True, num_parallel_calls=2).prefetch(1), 12),
        (whole.take(8).batch(5, drop_remainder=True).shuffle(3), 8),
        (whole.filter(lambda a, b: tf.size(a) > 1).batch(5, drop_remainder=True), 12),
    ]:
        assert data_size.examples(made, sum(len(a) for a, _ in made)) == expected
    with pytest.raises(ValueError, match="without end"):
        data_size.examples(whole.repeat().batch(5, drop_remainder=True), 10)


@pytest.mark.parametrize("sampler", ["hmc", "langevin"])
def test_an_accept_test_needs_every_example_once(sampler):
    x, y = data()
    module, tensors, loader = loaders(x, y)
    again = module.RandomSampler(tensors, replacement=True, num_samples=12)
    with pytest.raises(ValueError, match=r"an epoch has 10 of the 12 examples .*drop_last=False"):
        trained(sampler, loader(drop_last=True))
    with pytest.raises(ValueError, match="15 of the 12"):
        trained(sampler, loader(sampler=module.RandomSampler(tensors, replacement=True, num_samples=15)))
    assert again is not None
    found, _ = trained(sampler, loader(shuffle=True))
    expected, _ = trained(sampler, x, y)
    np.testing.assert_allclose(found.posterior.logdensity, expected.posterior.logdensity, rtol=1e-9)


def timed(reduction, steps=6, examples=5):
    """Sequences of unequal lengths with a target at every step."""
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((examples, steps, 2)), rng.standard_normal((examples, steps, 1))
    mask = (np.arange(steps) < np.array([1, 6, 3, 4, 2])[:, None]).astype(float)
    return evaluator(reduction=reduction), x, y, mask


def test_a_target_at_every_step_asks_for_the_sum():
    """The log posterior of all steps, to every digit, with reduction='sum'; the mean is warned of."""
    model, x, y, mask = timed("sum")
    rule = neko.HMC(model, step_size=0.05, leapfrog_steps=2, warmup=0, prior=2.0)
    history = neko.Trainer(rule).train(x, y, mask, epochs=2, progress=False)
    w = rule.posterior.draws["w"][0, -1]
    expected = -0.5 * np.sum(mask[..., None] * (y - x @ w) ** 2) - np.sum(w**2) / 8.0
    assert history["logdensity"][-1] == pytest.approx(expected, rel=1e-10)
    model, *arrays = timed("mean")
    with pytest.warns(SamplingWarning, match=r"Evaluator\(…, reduction='sum'\) is the likelihood"):
        neko.Trainer(neko.HMC(model)).train(*arrays, progress=False)


@pytest.mark.filterwarnings("ignore::neko.errors.SamplingWarning")
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("network", [False, True])
def test_the_drift_of_a_mini_batch_is_unbiased(reduction, network):
    """Its mean over all mini-batches of a size, of sequences of unequal lengths, is the gradient of the posterior."""
    model, x, y, mask = timed(reduction)
    if network:
        cells = neko.LIF(4, 1, backends.get("torch", dtype="float64"), task_type="regression", v_th=0.5, seed=1)
        model = neko.Evaluator(cells, loss="half_squared_error", reduction=reduction)
        model.build(x)
    exact = neko.Langevin(model, prior=0.5)
    exact.look([model.examples(x, y, mask)])
    arguments = exact.feedback, model.model.buffers
    value, drift = exact.logdensity_and_drift(model.params, *arguments, exact.data)
    estimator = neko.SGLD(model, prior=0.5)
    estimator.look([model.examples(x, y, mask)])
    for size in (1, 2, 4):
        found, naive = [], []
        for chosen in map(list, itertools.combinations(range(len(x)), size)):
            arrays = model.examples(x[chosen], y[chosen], mask[chosen])[:3]
            found.append(estimator.estimate(model.params, *arguments, arrays))
            loss, _, share = estimator.batch_loss(model.params, *arguments, arrays)
            naive.append(float(loss / share))
        np.testing.assert_allclose(np.mean([float(v) for v, _ in found]), float(value), rtol=1e-10)
        for name, g in drift.items():
            mean = np.mean([d[name].numpy() for _, d in found], axis=0)
            np.testing.assert_allclose(mean, g.numpy(), rtol=1e-9, atol=1e-9)
        if reduction == "mean":
            whole, _, share = estimator.batch_loss(model.params, *arguments, model.examples(x, y, mask)[:3])
            assert abs(np.mean(naive) / float(whole / share) - 1.0) > 1e-3, "means of batches are biased"


def test_a_models_own_penalty_is_no_part_of_a_posterior():
    model = evaluator()
    model.model.penalty = True
    with pytest.raises(ValueError, match=r"penalty of its own .* give a prior instead"):
        neko.Trainer(neko.HMC(model)).train(*data(), progress=False)


@pytest.mark.quick("torch")
@pytest.mark.parametrize("backend", backends.installed())
def test_factors_and_starts_are_arrays_of_any_kind(backend):
    """A posterior's own draws, and NumPy numbers for all options."""
    x, y = data()
    draws = {"w": np.array([[0.3], [0.4]], np.float32)}
    for made in (
        lambda **options: neko.HMC(evaluator(backend), mass={"w": np.array([[1.0], [2.0]])}, **options),
        lambda **options: neko.Langevin(evaluator(backend), scale={"w": np.float32(0.5)}, **options),
        lambda **options: neko.SGLD(evaluator(backend), **options),
    )[: 3 if backend == "torch" else 1]:
        rule = made(
            starts=[draws],
            prior=np.float32(2.0),
            warmup=np.int64(1),
            thinning=np.int32(1),
            seed=np.int64(3),
            step_size=np.float64(1e-9),
        )
        neko.Trainer(rule).train(x, y, epochs=3, progress=False)
        np.testing.assert_allclose(rule.posterior.draws["w"][0, 0], draws["w"], atol=1e-3)
    assert Normal(np.float64(0.5)) == Normal(0.5)
    assert type(Laplace(np.float32(0.5)).scale) is float


def test_a_mass_is_a_mass():
    """Leapfrog of one step from rest moves by ½ ε² F / m: with m times 4 a quarter, with an array as with a number."""
    from neko.samplers import hmc

    xp = backends.get("torch", dtype="float64")
    state = hmc.State({"w": xp.asarray([1.0, 2.0])}, xp.zeros(()), {"w": xp.asarray([-1.0, -2.0])})

    def target(p):
        return xp.zeros(()), p

    def moved(mass):
        end, _ = hmc.leapfrog(xp, state, {"w": xp.zeros((2,))}, target, 0.1, steps=1, mass={"w": mass})
        return end.position["w"].numpy() - np.array([1.0, 2.0])

    np.testing.assert_allclose(moved(np.array([1.0, 4.0])), [-0.005, -0.0025])
    np.testing.assert_allclose(moved(2.0), moved([2, 2]))


@pytest.mark.parametrize(
    ("made", "error", "words"),
    [
        (lambda m: neko.HMC(m, mass={"w": 0}), ValueError, r"mass\['w'\]=0: expected finite numbers above 0"),
        (lambda m: neko.HMC(m, mass={"w": -1.0}), ValueError, r"mass\['w'\]=-1.0"),
        (lambda m: neko.HMC(m, mass={"w": np.array([1.0, np.nan])}), ValueError, r"mass\['w'\]"),
        (lambda m: neko.HMC(m, mass={"w": np.array([[1.0], [-2.0]])}), ValueError, r"mass\['w'\]"),
        (lambda m: neko.HMC(m, mass={"w": "heavy"}), TypeError, r"mass\['w'\] has dtype"),
        (lambda m: neko.HMC(m, mass={"w": True}), ValueError, r"mass\['w'\]=True"),
        (lambda m: neko.HMC(m, mass=2.0), TypeError, "mass=2.0: expected a dict"),
        (lambda m: neko.HMC(m, mass={"v": 1.0}), ValueError, r"mass has parameters \['v'\]: expected some of \['w'\]"),
        (lambda m: neko.HMC(m, mass={"w": np.ones(3)}), ValueError, r"mass\['w'\] has shape \(3,\): expected \(2, 1\)"),
        (lambda m: neko.Langevin(m, scale={"w": 0.0}), ValueError, r"scale\['w'\]=0.0"),
        (lambda m: neko.Langevin(m, scale={"v": 1.0}), ValueError, r"scale has parameters \['v'\]"),
        (lambda m: neko.HMC(m, starts=[]), ValueError, r"starts=\[\]: expected a dict of arrays for one chain"),
        (lambda m: neko.HMC(m, starts={"w": 1.0}), TypeError, "expected a list with a dict"),
        (lambda m: neko.HMC(m, starts=3), TypeError, "starts=3"),
        (lambda m: neko.HMC(m, starts=[{"v": np.ones((2, 1))}]), ValueError, r"starts\[0\] has parameters \['v'\]"),
        (lambda m: neko.HMC(m, starts=[{}]), ValueError, r"starts\[0\] has parameters \[\]: expected \['w'\]"),
        (lambda m: neko.HMC(m, starts=[{"w": np.ones(2)}]), ValueError, r"starts\[0\]\['w'\] has shape \(2,\)"),
        (lambda m: neko.HMC(m, starts=[{"w": "a"}]), TypeError, r"starts\[0\]\['w'\] has dtype"),
        (lambda m: neko.HMC(m, prior="wide"), TypeError, "prior='wide': expected a prior"),
        (lambda m: neko.HMC(m, prior={}), TypeError, "prior={}: expected priors by names"),
        (lambda m: neko.HMC(m, prior=True), TypeError, "prior=True"),
        (lambda m: neko.HMC(m, prior=0.0), ValueError, "scale=0.0"),
        (lambda m: neko.HMC(m, prior={"v": 1.0}), ValueError, r"prior for \['v'\]"),
    ],
)
def test_what_is_given_is_looked_at_and_named(made, error, words):
    with pytest.raises(error, match=words):
        neko.Trainer(made(evaluator())).train(*data(), progress=False)


def test_what_needs_no_model_is_refused_at_once():
    for options in ({"mass": {"w": 0.0}}, {"starts": []}, {"prior": "wide"}):
        with pytest.raises((ValueError, TypeError)):
            neko.HMC(evaluator(), **options)


def test_the_posterior_of_a_regression_knows_what_it_is():
    x, y = data()
    rule, _ = trained("hmc", x, y, epochs=12, x_pred=x[:4])
    found = rule.posterior
    assert found.link == "identity"
    predictions = x[:4] @ found.draws["w"].reshape(-1, 2, 1)
    np.testing.assert_allclose(found.mean_prediction, predictions.mean(axis=0))
    np.testing.assert_allclose(found.standard_deviation, predictions.std(axis=0))
    for measure in ("entropy", "expected_entropy", "mutual_information", "mean_cross_entropy"):
        with pytest.raises(ValueError, match="no class probabilities"):
            getattr(found, measure)()
    for measure in ("accuracy", "negative_log_likelihood", "calibration_error", "error_auroc", "error_rank_test"):
        with pytest.raises(ValueError, match=r"values \(link='identity'\).* standard_deviation"):
            getattr(found, measure)(y[:4])
