"""The feedback family on a user's own Keras models, on the backend that KERAS_BACKEND names; run by keras_check.py."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import neko
from neko.training.pairs import resolve

layers = keras.layers
RNG = np.random.default_rng(0)
FLAT = RNG.standard_normal((6, 5)).astype(np.float32)
IMAGES = RNG.standard_normal((6, 8, 8, 1)).astype(np.float32)
Y = RNG.standard_normal((6, 3)).astype(np.float32)
THROUGH = ("feedback_alignment", "sign_symmetric", "kolen_pollack", "weight_mirror")


def evaluator(*parts, shape=(5,)):
    keras.utils.set_random_seed(0)
    return neko.Evaluator(keras.Sequential([keras.Input(shape), *parts]), loss="half_squared_error")


def dense():
    return evaluator(layers.Dense(8, "tanh"), layers.Dense(7, "relu", bias_initializer="ones"), layers.Dense(3))


def convolutional():
    return evaluator(
        layers.Conv2D(4, 3, padding="same", activation="relu"),
        layers.Conv2D(6, 3, strides=2, use_bias=False),
        layers.BatchNormalization(),
        layers.Reshape((9, 6)),
        layers.TimeDistributed(layers.Dense(5, "tanh")),
        layers.LayerNormalization(),
        layers.Conv1D(4, 3, activation="tanh"),
        layers.GlobalAveragePooling1D(),
        layers.Dense(3),
        shape=(8, 8, 1),
    )


def host(arrays):
    return {name: np.array(keras.ops.convert_to_numpy(a)) for name, a in arrays.items()}


def rule_of(name, model):
    # In a compiled program TensorFlow fuses a product with the bias and activation after it, and rounds otherwise.
    return resolve(name)(model, jit=False)


def gradients(rule, x):
    return host(rule.gradients(x, Y)[1])


def check_the_weights_as_feedback():
    for model, x in ((dense(), FLAT), (convolutional(), IMAGES)):
        loss, exact = rule_of("bptt", model).gradients(x, Y)
        exact, names = host(exact), list(model.model.asymmetric())
        last = max(name.partition(".kernel")[0] for name in names)
        for name in THROUGH:
            rule = rule_of(name, model)
            assert float(rule.gradients(x, Y)[0]) == float(loss)
            for weight, g in gradients(rule, x).items():
                if weight in exact:
                    moved = np.abs(g - exact[weight]).max() / np.abs(exact[weight]).max()
                    assert (moved > 0.02) == (not weight.startswith(last)), (name, weight, moved)
            if name == "sign_symmetric":
                rule.gradient.backward = lambda params, feedback, names=names: {n: params[n] for n in names}
            else:
                rule.feedback = {f"feedback.{weight}": model.model.params[weight] for weight in names}
            found = gradients(rule, x)
            assert all(np.array_equal(found[weight], g) for weight, g in exact.items()), name
    for layer in model.model.module._flatten_layers():
        assert "call" not in vars(layer)
        assert type(layer) is not layers.Conv1D or layer.activation is keras.activations.tanh


def check_gradients_by_hand():
    for name in ("feedback_alignment", "direct_feedback_alignment"):
        model = dense()
        rule = rule_of(name, model)
        found, w = gradients(rule, FLAT), host(model.model.params)
        b = {weight.removeprefix("feedback."): a for weight, a in host(rule.feedback).items()}
        k1, k2, k3 = (f"layers.{i}.kernel" for i in range(3))
        h1 = np.tanh(FLAT @ w[k1] + w["layers.0.bias"])
        h2 = np.maximum(h1 @ w[k2] + w["layers.1.bias"], 0.0)
        d3 = (h2 @ w[k3] + w["layers.2.bias"] - Y) / len(Y)
        d2 = (d3 @ b[k3].T) * (h2 > 0.0)
        d1 = ((d3 if name.startswith("direct") else d2) @ b[k2].T) * (1.0 - h1**2)
        for kernel, a, d in ((k1, FLAT, d1), (k2, h1, d2), (k3, h2, d3)):
            np.testing.assert_allclose(found[kernel], a.T @ d, rtol=1e-3, atol=1e-6)
            np.testing.assert_allclose(found[kernel.replace("kernel", "bias")], d.sum(axis=0), rtol=1e-3, atol=1e-6)


def check_refusals():
    steps = (4, 5)
    tuned = dense()
    tuned.model.module.layers[1].enable_lora(2)
    refused = (
        (evaluator(layers.LSTM(3), shape=steps), "of LSTMCell"),
        (evaluator(layers.GRU(3), shape=steps), "of GRUCell"),
        (evaluator(layers.EinsumDense("abc,cd->abd", (4, 3)), shape=steps), "of EinsumDense"),
        (evaluator(layers.DepthwiseConv1D(2), layers.Flatten(), layers.Dense(3), shape=steps), "of DepthwiseConv1D"),
        (tuned, "of Dense passes credit back in products"),
    )
    for model, words in refused:
        with pytest.raises(TypeError, match=words):
            neko.FeedbackAlignment(model)


def check_training():
    """Kolen and Pollack's gap, a frozen layer, and a compiled step."""
    model, share = dense(), 0.1
    model.model.module.layers[1].trainable = False
    rule = neko.KolenPollack(model, optimizer="sgd", learning_rate=0.01, feedback_decay=share)
    rule.start(FLAT)
    assert sorted(rule.feedback) == ["feedback.layers.0.kernel", "feedback.layers.2.kernel"]

    def gap():
        w = host(model.model.params)
        return {name: b - w[name.removeprefix("feedback.")] for name, b in host(rule.feedback).items()}

    before = gap()
    losses = [rule.step(FLAT, Y)["loss"] for _ in range(3)]
    assert losses[-1] < losses[0]
    for name, g in gap().items():
        np.testing.assert_allclose(g, (1.0 - share) ** 3 * before[name], rtol=1e-4, atol=1e-6)


ALL = (check_the_weights_as_feedback, check_gradients_by_hand, check_refusals, check_training)
