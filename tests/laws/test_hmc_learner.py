"""What the warm-up of `neko.HMC` learns, that it is then fixed, and a posterior that is known in closed form."""

from __future__ import annotations

import numpy as np
import pytest

import neko
from neko import backend as backends
from neko.samplers import moments
from neko.samplers.mass import flat
from neko.samplers.windows import windows
from neko.training.callbacks import Callback
from regression import Line, posterior
from significance import FALSE_ALARM, MISSED, missed_normal, p_normal

FORMS = ("diagonal", "dense")


def data(inputs=2, examples=12):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((examples, inputs)) * np.array([1.0, 0.3])
    x[:, 1] += 0.5 * x[:, 0]
    return x, x @ np.array([[1.0], [-0.5]]) + rng.standard_normal((examples, 1))


def sampler(backend, mass, **options):
    xp = backends.get(backend, dtype="float64")
    with xp.scope():
        model = neko.Evaluator(Line(xp), loss="half_squared_error")
    return neko.HMC(model, mass=mass, **{"step_size": 0.3, "leapfrog_steps": 3, **options})


class Watched(Callback):
    """The tuning and the position of the first chain after every epoch."""

    def __init__(self):
        self.tunings, self.positions = [], []

    def epoch(self, loop):
        chain, xp = loop.learner.chains[0], loop.learner.xp
        self.tunings.append(chain.tuning)
        self.positions.append(xp.to_numpy(flat(xp, chain.position))[:, 0])


@pytest.mark.quick("torch")
@pytest.mark.parametrize("backend", backends.installed())
@pytest.mark.parametrize("mass", FORMS)
def test_a_warm_up_learns_the_inverse_covariance_of_each_window_and_then_nothing(backend, mass):
    warmup, watched = 160, Watched()
    rule = sampler(backend, mass, warmup=warmup)
    neko.Trainer(rule).train(*data(), epochs=warmup + 5, callbacks=[watched], progress=False)
    to_numpy = rule.xp.to_numpy

    def matrix(tuning):
        if mass == "dense":
            factor = to_numpy(tuning.mass.factor)
            return factor @ factor.T
        return np.diag(to_numpy(tuning.mass.mass["w"])[:, 0])

    expected, ends = np.eye(2), []
    for begin, end in windows(warmup):
        ends.append(end)
        np.testing.assert_allclose(matrix(watched.tunings[end - 2]), expected, rtol=1e-10)
        found = moments.init(2, dense=mass == "dense")
        for position in watched.positions[begin:end]:
            found = moments.update(found, position)
        covariance = moments.regularised(found)
        expected = np.linalg.inv(covariance if mass == "dense" else np.diag(covariance))
        np.testing.assert_allclose(matrix(watched.tunings[end - 1]), expected, rtol=1e-10)
        assert watched.tunings[end - 1].step.updates == 0, "dual averaging begins anew"
    assert ends[-1] == warmup - 50
    last = watched.tunings[warmup - 1]
    assert last.step.updates == 50
    for later in watched.tunings[warmup:]:
        assert later is last, "nothing is learnt after the warm-up"
    assert rule.step_sizes() == [pytest.approx(np.exp(last.step.mean))]


@pytest.mark.slow
@pytest.mark.parametrize("mass", [*FORMS, {"w": 2.0}, None], ids=str)
def test_a_run_goes_on_in_the_middle_of_a_window(mass, tmp_path):
    x, y = data()
    options = {"warmup": 60, "chains": 2}
    whole = sampler("torch", mass, **options)
    neko.Trainer(whole).train(x, y, epochs=70, progress=False)
    for epochs in (30, 70):
        rule = sampler("torch", mass, **options)
        kept = neko.Checkpoints(tmp_path, resume=True)
        neko.Trainer(rule).train(x, y, epochs=epochs, callbacks=[kept], progress=False)
    np.testing.assert_equal(rule.exported(), whole.exported())


def missed_copies(n, copies):
    """Power against a posterior with the likelihood counted so many times: the mean over examples is 1 / examples."""
    x, y = data()
    return missed_normal(n, *posterior(x, y), *posterior(x, y, copies=copies))


@pytest.mark.slow
@pytest.mark.parametrize("backend", backends.installed())
@pytest.mark.parametrize("mass", [*FORMS, None], ids=str)
def test_the_posterior_of_a_regression_is_the_conjugate_one(backend, mass):
    """The last draws of many chains, each with its own warm-up: independent draws.

    What is left of the starts is far below the error of the mean: on this posterior the correlation of a draw with the
    one before is below 0.8, so after 80 transitions below 1e-7 of the start's distance. False alarm as in
    `significance`; the controls are a likelihood of the mean over examples, and one counted four times.
    """
    chains, warmup = 300, 60
    for copies in (1.0 / 12.0, 4.0):
        assert missed_copies(chains, copies) < MISSED
    x, y = data()
    rule = sampler(backend, mass, chains=chains, warmup=warmup, starts="prior")
    neko.Trainer(rule).train(x, y, epochs=warmup + 21, progress=False)
    draws = rule.posterior.draws["w"][:, :, :, 0]
    assert p_normal(draws[:, -1], *posterior(x, y)) > FALSE_ALARM
    for i in range(2):
        assert abs(np.corrcoef(draws[:, -2, i], draws[:, -1, i])[0, 1]) < 0.8
    assert 0.6 < rule.posterior.acceptance.mean() < 0.99
