"""Steps compiled by XLA on TensorFlow."""

from __future__ import annotations

import numpy as np
import pytest

import neko
from neko import datasets


def evaluator(framework="tensorflow", **options):
    given = {"loss": "categorical_crossentropy", "metrics": ["accuracy", "firing_rate"]} | options
    return neko.Evaluator(neko.ALIF(16, 10, framework, seed=1), **given)


def test_xla_is_an_option_of_tensorflow_alone():
    with pytest.raises(ValueError, match="jit='xla' on torch: expected True, by which JAX uses XLA"):
        neko.Eprop(evaluator("torch"), jit="xla")
    with pytest.raises(ValueError, match="jit='fast': expected True, False, or 'xla'"):
        neko.Eprop(evaluator("torch"), jit="fast")


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["Eprop", "BPTT"])
def test_xla_gives_the_learning_curve_of_a_graph(rule):
    """To rounding: XLA sums in another order, which a threshold may turn into another spike."""
    digits = datasets.load("digits").one_hot()
    x, y = digits.x_train[:192], digits.y_train[:192]
    curves = {}
    for jit in (True, "xla", False):
        learner = getattr(neko, rule)(evaluator(), learning_rate=1e-2, jit=jit)
        history = neko.Trainer(learner).train(x, y, epochs=1 if jit is False else 4, batch_size=48, progress=False)
        assert np.mean(history["firing_rate"]) > 1.0
        curves[jit] = np.array(history["loss"])
    assert curves[True][-1] < 0.98 * curves[True][0]
    np.testing.assert_allclose(curves["xla"], curves[True], rtol=1e-3)
    np.testing.assert_allclose(curves[False][0], curves[True][0], rtol=1e-3)


@pytest.mark.slow
def test_a_step_that_xla_cannot_compile_is_named():
    import tensorflow as tf

    def strange(xp, outputs, target):
        seen = tf.numpy_function(lambda a: a, [tf.stop_gradient(outputs)], tf.float32)
        seen.set_shape(outputs.shape)
        return xp.mean(xp.square(outputs - target), axis=-1) + 0.0 * xp.mean(seen, axis=-1)

    x, y = np.ones((2, 4, 3), np.float32), np.zeros((2, 10), np.float32)
    assert np.isfinite(neko.Eprop(evaluator(loss=strange, metrics=[])).step(x, y)["loss"])
    with pytest.raises(ValueError, match=r"XLA cannot compile this step.*jit=True"):
        neko.Eprop(evaluator(loss=strange, metrics=[]), jit="xla").step(x, y)
