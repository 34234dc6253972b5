"""A posterior in a file, thinned, combined, and with predictions for new inputs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import neko
from neko import backend as backends
from neko.bayes import METHODS, Posterior, thinning
from neko.bayes.packages import arviz
from neko.bayes.sampling import Sampling

X, Y = np.random.default_rng(0).standard_normal((6, 2, 3)), np.arange(6) % 2
DRAW = 4 * 2 * (18 + 6) / 2**20
"""MiB of a draw of two chains: 18 weights and 3 predictions of 2 classes, in single precision."""


def sampler(**options):
    """Two chains with a draw an epoch after two of warm-up, and their trainer."""
    model = neko.Evaluator(neko.RNN(2, 2, "torch"), loss="sparse_categorical_crossentropy")
    rule = neko.Langevin(model, step_size=0.01, chains=2, x_pred=X[:3], **{"warmup": 2, **options})
    return rule, neko.Trainer(rule)


def trained(epochs, **options):
    rule, trainer = sampler(**options)
    trainer.train(X, Y, epochs=epochs, progress=False)
    return rule


def make(chains=2, draws=5, dtype=np.float32, **given):
    rng = np.random.default_rng(0)
    weights = {
        "layers.0.w_in": rng.standard_normal((chains, draws, 3, 2)).astype(dtype),
        "dense/kernel": rng.standard_normal((chains, draws, 2)),
        "chain": np.array([[-0.0, 5e-324, np.inf, -np.nan, 1e308]] * chains)[:, :draws],
        "nothing": np.zeros((chains, draws, 0)),
    }
    parts = {
        "draws": weights,
        "logdensity": rng.standard_normal((chains, draws)),
        "acceptance": np.full((chains, draws), np.nan),
        "step_size": np.linspace(0.1, 0.2, chains),
        "predictions": rng.dirichlet(np.ones(3), (chains, draws, 4)).astype(dtype),
        "power": 1.0 / 3.0,
        "temperature": 0.1,
        "method": "Langevin",
    }
    return Posterior(**{**parts, **given})


def same(one, other):
    """Whether two posteriors are equal in every bit."""
    for field in dataclasses.fields(Posterior):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if field.name == "draws":
            assert list(a) == list(b)
            pairs = [(a[name], b[name]) for name in a]
        elif isinstance(a, np.ndarray):
            pairs = [(a, b)]
        else:
            assert a == b
            assert type(a) is type(b)
            pairs = []
        for x, y in pairs:
            assert (x.dtype, x.shape, x.tobytes()) == (y.dtype, y.shape, np.ascontiguousarray(y).tobytes())


@pytest.mark.parametrize(
    "found",
    [
        make(),
        make(dtype=np.float64, link="identity"),
        make(predictions=None),
        make(draws=2, predictions=np.full((2, 2, 4, 5, 3), 1 / 3)),
        Posterior({}, np.zeros((1, 1)), np.zeros((1, 1)), np.ones(1)),
    ],
    ids=["single precision", "double precision", "no predictions", "time", "no weights"],
)
def test_a_file_has_every_bit(found, tmp_path):
    path = found.save(tmp_path / "new" / "posterior.nc")
    same(Posterior.load(path), found)
    assert [file.name for file in path.parent.iterdir()] == ["posterior.nc"]
    own = arviz().from_netcdf(str(path))  # which others read too
    assert own.attrs["link"] == found.link
    own.close()


def test_another_file_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a file that Posterior"):
        Posterior.load(tmp_path / "missing.nc")
    (tmp_path / "text.nc").write_text("text")
    arviz().from_dict(posterior={"w": np.zeros((2, 4))}).to_netcdf(str(tmp_path / "other.nc"))
    for name in ("text.nc", "other.nc"):
        with pytest.raises(ValueError, match=f"{name}' is no file that Posterior.save has written"):
            Posterior.load(tmp_path / name)


def test_thinning_keeps_draws_at_equal_distances():
    found = make()
    thinned = found.thin(2)
    np.testing.assert_array_equal(thinned.logdensity, found.logdensity[:, [0, 2, 4]])
    np.testing.assert_array_equal(thinned.predictions, found.predictions[:, [0, 2, 4]])
    np.testing.assert_array_equal(thinned.draws["dense/kernel"], found.draws["dense/kernel"][:, [0, 2, 4]])
    size = 2 * (4 * 6 + 8 * 2 + 8 + 4 * 12)
    for room, kept in ((5, 5), (4, 3), (3, 3), (2, 2)):
        assert found.thin(memory=room * size / 2**20).logdensity.shape == (2, kept)
    same(found.thin(memory=2 * size / 2**20), found.thin(4))
    for wrong in ({}, {"by": 2, "memory": 1.0}, {"by": 0}, {"memory": 1.9 * size / 2**20}):
        with pytest.raises(ValueError, match="expected"):
            found.thin(**wrong)


@pytest.mark.parametrize(("epochs", "by"), [(3, 1), (7, 1), (8, 2), (12, 2), (13, 4), (30, 8)])
def test_a_sampler_that_thins_as_it_goes_has_the_draws_that_are_thinned_afterwards(epochs, by):
    whole, thinned = trained(epochs), trained(epochs, memory=5.5 * DRAW)
    assert sum(w[0, 0].nbytes for w in whole.posterior.draws.values()) + 24 == DRAW * 2**20 / 2
    same(thinned.posterior, whole.posterior.thin(by))
    same(thinned.posterior, whole.posterior.thin(memory=5.5 * DRAW))
    assert len(thinned.chains[0].draws) == len(thinned.chains[1].predictions) <= 5


@pytest.mark.parametrize("stop", [4, 8, 11])
def test_a_sampler_that_thins_goes_on_as_if_never_stopped(stop, tmp_path):
    def run(epochs, folder):
        rule, trainer = sampler(memory=3.5 * DRAW)
        kept = neko.Checkpoints(folder, resume=True)
        trainer.train(X, Y, epochs=epochs, callbacks=[kept], progress=False)
        return rule.posterior

    assert run(stop, tmp_path / "stopped").logdensity.shape[1] > 1
    resumed = run(17, tmp_path / "stopped")
    same(resumed, run(17, tmp_path / "whole"))
    same(resumed, trained(17).posterior.thin(8))


def test_a_budget_below_two_draws_is_refused_before_the_first_step():
    with pytest.raises(ValueError, match=rf"MiB: expected at least {2 * DRAW:.3g} for two draws of a chain"):
        trained(1, warmup=100, memory=1.9 * DRAW)
    with pytest.raises(ValueError, match="memory=-1"):
        sampler(memory=-1)
    assert thinning.stride(9, 2) == 8


def test_a_mixture_has_the_chains_of_all():
    one, two = make(), make(chains=3, power=2.0, method="MeanField")
    both = Posterior.combine([one, two, one])
    assert both.logdensity.shape == (7, 5)
    assert both.method == "Langevin + MeanField"
    assert np.isnan(both.power)
    assert both.temperature == 0.1
    np.testing.assert_array_equal(both.draws["dense/kernel"][2:5], two.draws["dense/kernel"])
    np.testing.assert_array_equal(both.step_size[-2:], one.step_size)
    weights = np.array([2, 3, 2]) / 7
    means = [part.mean_prediction for part in (one, two, one)]
    np.testing.assert_allclose(both.mean_prediction, np.tensordot(weights, means, 1))
    same(Posterior.combine([one]), one)
    for other, words in (
        (make(draws=4), "draws of shapes"),
        (make(predictions=None), "predictions of shapes"),
        (make(link="sigmoid"), "link"),
        (make(draws=5, dtype=np.float32).thin(2), "see thin"),
    ):
        with pytest.raises(ValueError, match=words):
            Posterior.combine([one, other])
    with pytest.raises(ValueError, match="got none"):
        Posterior.combine([])


@pytest.mark.quick("torch")
@pytest.mark.parametrize("backend", backends.installed())
def test_new_predictions_are_those_that_the_sampler_would_have_kept(backend):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((12, 3, 4)).astype(np.float32), np.arange(12) % 2
    model = neko.Evaluator(neko.LIF(5, 2, backend, v_th=0.3), loss="sparse_categorical_crossentropy")
    rule = neko.Langevin(model, step_size=0.01, chains=2, warmup=1, x_pred=x[:7])
    neko.Trainer(rule).train(x, y, epochs=4, progress=False)
    found, before = rule.posterior, model.params
    assert found.predictions.std(axis=1).max() > 0.0
    again = found.predict(model, x[:7])
    assert again.dtype == found.predictions.dtype
    np.testing.assert_array_equal(again, found.predictions)
    assert model.params is before
    other = found.with_predictions(model, x[7:])
    assert other.predictions.shape == (2, 3, 5, 2)
    np.testing.assert_allclose(other.predictions, found.predict(model, x, batch_size=5)[:, :, 7:], rtol=1e-5)
    np.testing.assert_array_equal(other.logdensity, found.logdensity)
    alone = neko.Evaluator(neko.LIF(6, 2, backend), loss="sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="the posterior"):
        found.predict(alone, x)
    empty = neko.Evaluator(model.model, loss="sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="has parameters"):
        dataclasses.replace(found, draws={"w": np.zeros((2, 3, 1))}).predict(empty, x)


CYCLE = {"cycle_epochs": 2, "exploration": 0.0}
SHORT = {"cyclical_sgld": CYCLE, "cyclical_sghmc": CYCLE, "swag": {"warmup": 1}}


QUICK = {"dropout", "ensemble", "langevin"}


@pytest.mark.parametrize(
    "word", [pytest.param(word, marks=() if word in QUICK else pytest.mark.slow) for word in sorted(METHODS)]
)
def test_every_method_has_a_posterior_that_predicts_as_it_was_kept(word, tmp_path):
    """The draws are the weights that predicted, whatever the method; their file knows all of it."""
    model = neko.Evaluator(neko.LIF(4, 2, "torch", recurrent=False), loss="sparse_categorical_crossentropy")
    given = SHORT.get(word, {"warmup": 1} if issubclass(METHODS[word], Sampling) else {})
    rule = METHODS[word](model, x_pred=X[:3], **given)
    neko.Trainer(rule).train(X, Y, epochs=4, progress=False)
    found = rule.posterior
    np.testing.assert_array_equal(found.predict(model, X[:3]), found.predictions)
    assert METHODS[word].__name__ == found.method or word == "ensemble"
    same(Posterior.load(found.save(tmp_path / "posterior.nc")), found)
