"""One temperature for predictions, fitted to held-out examples."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import stats

from neko.bayes import Posterior, TemperatureScaling
from significance import FALSE_ALARM, MISSED, two_sided


def softmax(z):
    p = np.exp(z - z.max(axis=-1, keepdims=True))
    return p / p.sum(axis=-1, keepdims=True)


def labelled(temperature, examples=20_000, classes=5):
    """Logits of a network, and labels that are drawn from them over a temperature."""
    rng = np.random.default_rng(0)
    z = 3.0 * rng.standard_normal((examples, classes))
    p = softmax(z / temperature)
    return z, (p.cumsum(axis=1) > rng.random((examples, 1))).argmax(axis=1)


def of_draws(p):
    """A posterior of one chain with predictions (draws, examples, classes)."""
    unknown = np.full((1, len(p)), np.nan)
    return Posterior({}, unknown, unknown, unknown[:, 0], p[None])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_recovered(temperature):
    """The estimate of 1/τ has the variance 1 / Σ Var_p(z), by its Fisher information; with 20,000 labels its error is
    normal to well below its own size. The control is a temperature that is wrong by a quarter."""
    z, y = labelled(temperature)
    found = TemperatureScaling.fit(softmax(z), y).temperature
    p = softmax(z / temperature)
    variance = (p * z**2).sum(axis=1) - (p * z).sum(axis=1) ** 2
    error = 1.0 / np.sqrt(variance.sum())
    assert two_sided(stats.norm(1.0 / temperature, error), 1.0 / found) > FALSE_ALARM
    reach = stats.norm.isf(FALSE_ALARM / 2)
    assert stats.norm.cdf(reach - abs(1.0 / temperature - 1.0 / (1.25 * temperature)) / error) < MISSED


def test_the_fit_is_where_the_slope_of_the_likelihood_is_zero():
    """Σ E_p[z] = Σ z_y, of a convex function of 1/τ."""
    z, y = labelled(1.7, examples=300)
    scaling = TemperatureScaling.fit(softmax(z), y)
    p = scaling(softmax(z))
    np.testing.assert_allclose(p, softmax(z / scaling.temperature), rtol=1e-9)
    np.testing.assert_allclose((p * z).sum(), z[np.arange(300), y].sum(), rtol=1e-6)
    np.testing.assert_array_equal(p.argmax(axis=-1), z.argmax(axis=-1))
    onehot = TemperatureScaling.fit(softmax(z), np.eye(5)[y])
    assert onehot == scaling


@pytest.mark.parametrize("spread", [0.0, 1.0, 5.0])
@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_held_out_examples_are_never_less_likely_than_before(spread, temperature):
    """Also of the mean of draws, where it is the best of a grid of temperatures."""
    z, y = labelled(temperature, examples=200)
    noise = np.random.default_rng(1).standard_normal((4, *z.shape))
    before = of_draws(softmax(z + spread * noise))
    scaling = TemperatureScaling.fit(before, y)
    after = scaling(before).negative_log_likelihood(y)
    assert after <= before.negative_log_likelihood(y)
    for other in np.geomspace(0.1, 10.0, 41):
        assert after <= TemperatureScaling(other)(before).negative_log_likelihood(y) + 1e-12


def test_a_posterior_stays_one():
    z, y = labelled(2.0, examples=50)
    before = dataclasses.replace(of_draws(softmax(np.stack([z, -z])).astype(np.float32)), power=3.0)
    after = TemperatureScaling.fit(before, y)(before)
    assert (after.power, after.predictions.dtype, after.predictions.shape) == (3.0, np.float32, (1, 2, 50, 5))
    np.testing.assert_allclose(after.predictions.sum(axis=-1), 1.0, rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: TemperatureScaling(0.0), "temperature=0.0"),
        (lambda: TemperatureScaling.fit(np.ones((3, 2)), [0, 1, 1]), "sum of 1"),
        (lambda: TemperatureScaling.fit(np.full((3, 2), 0.5), [0, 1]), "y has 2 examples"),
        (lambda: TemperatureScaling(2.0)(dataclasses.replace(of_draws(np.ones((1, 3, 1))), link="log")), "rates"),
    ],
)
def test_what_does_not_fit_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
