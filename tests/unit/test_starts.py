"""Where chains start: from the model, from the prior, from both, or from given parameters."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import neko
from neko import backend as backends
from neko.bayes import Laplace, Normal, starts
from significance import FALSE_ALARM, MISSED, missed_normal, p_normal

OWN = {"w": np.arange(6.0).reshape(2, 3), "b": np.array([7.0, 8.0])}
PRIORS = {"w": Normal(0.5), "b": Laplace(2.0)}


def points(kind, chains, seed=0, priors=PRIORS):
    xp = backends.get("torch", dtype="float64")
    own = {name: xp.asarray(w) for name, w in OWN.items()}
    found = starts.points(xp, own, priors, starts.checked(kind), starts.number(kind, chains), seed)
    return [{name: xp.to_numpy(w) for name, w in point.items()} for point in found]


def is_shuffled(point):
    return all(sorted(point[name].ravel()) == sorted(w.ravel()) for name, w in OWN.items())


@pytest.mark.parametrize(
    ("kind", "chains", "warm"),
    [("model", 4, 4), ("prior", 4, 0), ("both", 4, 2), ("both", 3, 2), ("both", 1, 1), ("prior", 1, 0)],
)
def test_a_word_says_how_many_chains_start_from_the_model(kind, chains, warm):
    found = points(kind, chains)
    assert [is_shuffled(point) for point in found] == [True] * warm + [False] * (chains - warm)
    if warm:
        np.testing.assert_array_equal(found[0]["w"], OWN["w"])
    for i, point in enumerate(found):
        assert all(not np.array_equal(point["w"], other["w"]) for other in found[:i]), "no two chains start alike"
    np.testing.assert_array_equal(points(kind, chains)[-1]["w"], found[-1]["w"])
    if chains > 1:
        assert not np.array_equal(points(kind, chains, seed=1)[-1]["w"], found[-1]["w"])


def test_given_starts_are_taken_and_further_chains_start_from_the_prior():
    given = [{"w": np.full((2, 3), float(i)), "b": [float(i), 0.0]} for i in (1, 2)]
    found = points(given, 3)
    assert len(found) == 3
    for point, start in zip(found[:2], given, strict=True):
        for name in OWN:
            np.testing.assert_array_equal(point[name], start[name])
    assert not is_shuffled(found[2])
    assert len(points(given, 1)) == 2


def test_draws_of_a_prior_have_its_law():
    """False alarm and power as in `significance`; the control of each is the other with the same variance, for which a
    Laplace number is first mapped to a normal one by its distribution function."""
    rng, n = np.random.default_rng(0), 4000
    drawn = Normal(0.5).draw(rng, (n, 1))
    assert p_normal(drawn, [0.0], [[0.25]]) > FALSE_ALARM
    assert missed_normal(n, [0.0], [[0.25]], [0.0], [[0.5]]) < MISSED
    uniform = stats.laplace(scale=0.7).cdf(Laplace(0.7).draw(rng, (n, 1)))
    assert p_normal(stats.norm.ppf(uniform), [0.0], [[1.0]]) > FALSE_ALARM
    assert p_normal(stats.norm.ppf(stats.laplace(scale=0.5).cdf(Laplace(0.7).draw(rng, (n, 1)))), [0], [[1]]) < MISSED


def test_what_is_no_start_is_refused():
    with pytest.raises(ValueError, match=r"starts='adam': expected one of \('both', 'model', 'prior'\)"):
        starts.checked("adam")
    with pytest.raises(TypeError, match="starts=None: expected a list"):
        starts.checked(None)

    class Flat:
        def logdensity_and_gradient(self, xp, w):
            return xp.zeros(()), xp.zeros_like(w)

    with pytest.raises(TypeError, match=r"has no draw\(rng, shape\).*starts='model'"):
        points("both", 2, priors=dict.fromkeys(OWN, Flat()))
    assert len(points("model", 2, priors=dict.fromkeys(OWN, Flat()))) == 2


def test_chains_start_where_they_should():
    """Steps so small that a chain stays where it starts."""
    model = neko.Evaluator(neko.Model(neko.cells.LIF(4), 2, "torch", seed=0), loss="categorical_crossentropy")
    x, y = np.ones((3, 5, 2)), np.eye(2)[[0, 1, 1]]
    model.build(x)
    own = {name: np.array(model.xp.to_numpy(w)) for name, w in model.params.items()}
    sampler = neko.SGLD(model, step_size=1e-20, chains=2, warmup=0, prior=30.0)
    neko.Trainer(sampler).train(x, y, epochs=1, progress=False)
    for name, w in own.items():
        first, second = sampler.posterior.draws[name][:, 0]
        np.testing.assert_allclose(first, w, atol=1e-6)
        if w.size > 3:
            assert second.std() > 5.0
