"""A user's own Keras model between converters, on the backend that KERAS_BACKEND names; run by keras_check.py."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import neko
from neko import Converters, Quantiser

layers = keras.layers
DAC, ADC = Quantiser(bits=4, full_scale=1.5), Quantiser(bits=5, full_scale=2.0)
RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((6, 8, 3)).astype(np.float32), RNG.standard_normal((6, 2)).astype(np.float32)


class Through(layers.Layer):
    """The nearest of all levels, by Keras alone, with the derivative 1."""

    def __init__(self, q):
        super().__init__()
        self.q = q

    def call(self, x):
        levels = np.linspace(-self.q.full_scale, self.q.full_scale, 2**self.q.bits - 1).astype(np.float32)
        levels = keras.ops.convert_to_tensor(levels)
        nearest = keras.ops.argmin(keras.ops.abs(keras.ops.expand_dims(x, -1) - levels), axis=-1)
        return x + keras.ops.stop_gradient(keras.ops.take(levels, nearest) - x)


def model(by_hand):
    keras.utils.set_random_seed(0)
    dac, adc = (lambda: [Through(DAC)], lambda: [Through(ADC)]) if by_hand else (list, list)

    def weighted(layer, activation):
        inside = None if by_hand else activation
        return [*dac(), layer(activation=inside), *adc(), *([layers.Activation(activation)] if by_hand else [])]

    return keras.Sequential(
        [
            keras.Input((8, 3)),
            *weighted(lambda **a: layers.Conv1D(4, 3, **a), "relu"),
            layers.Flatten(),
            *weighted(lambda **a: layers.Dense(5, **a), "tanh"),
            *weighted(lambda **a: layers.Dense(2, **a), "linear"),
        ]
    )


def by_layer(name):
    """Conversions by hand are layers too, so that only the order of the layers is the same."""
    _, number, kind = name.split(".")
    return int(number), kind


def check_a_model_is_its_own_copy_with_converters():
    mine, theirs = model(False), model(True)
    theirs.set_weights(mine.get_weights())
    exact = neko.Evaluator(mine, loss="mse").predict(X)
    adapted = neko.models.adapt(mine, converters=Converters(dac=DAC, adc=ADC))
    evaluators = [neko.Evaluator(adapted, loss="mse"), neko.Evaluator(theirs, loss="mse")]
    found, expected = (evaluator.predict(X) for evaluator in evaluators)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(found - exact).max() > 0.02
    gradients = []
    for evaluator in evaluators:
        host = evaluator.xp.to_numpy
        found = neko.BPTT(evaluator).gradients(X, Y)[1]
        gradients.append([np.array(host(found[name])) for name in sorted(found, key=by_layer)])
    for a, b in zip(*gradients, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
        assert np.abs(a).max() > 1e-4
    np.testing.assert_allclose(neko.Evaluator(mine, loss="mse").predict(X), exact, atol=1e-6)


def check_other_matrices_are_refused():
    made = keras.Sequential([keras.Input((8, 3)), layers.LSTM(2)])
    adapted = neko.models.adapt(made, converters=Converters(adc=ADC))
    with pytest.raises(TypeError, match="there are no converters for these"):
        neko.Evaluator(adapted, loss="mse").evaluate(X, Y)


ALL = (check_a_model_is_its_own_copy_with_converters, check_other_matrices_are_refused)
