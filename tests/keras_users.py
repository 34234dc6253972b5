"""What belongs to a Keras model beside its outputs, on the backend that KERAS_BACKEND names; run by keras_check.py."""

from __future__ import annotations

import copy
import tempfile
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest

import neko
from neko import tree
from neko.errors import GradientWarning
from neko.models import adapt
from neko.models.weights import load_weights, save_weights

layers, regularizers, constraints = keras.layers, keras.regularizers, keras.constraints
BACKEND = keras.backend.backend()
RNG = np.random.default_rng(0)
X = RNG.standard_normal((8, 4)).astype(np.float32)
Y = np.eye(3, dtype=np.float32)[RNG.integers(3, size=8)]
OTHER = RNG.standard_normal((8, 2)).astype(np.float32)
LOGITS = keras.losses.CategoricalCrossentropy(from_logits=True)


def host(a):
    return np.array(keras.ops.convert_to_numpy(keras.ops.stop_gradient(a)))


def bptt(model, **options):
    output = {"output": options.pop("output")} if "output" in options else {}
    options = options or {"optimizer": "sgd", "learning_rate": 0.1}
    return neko.BPTT(neko.Evaluator(model, loss="categorical_crossentropy", **output), **options)


class AddsLoss(layers.Layer):
    def call(self, x):
        self.add_loss(0.3 * keras.ops.mean(keras.ops.square(x)))
        return x


class Plain(keras.Model):
    """`call` takes no `training`; two weights have no name."""

    def __init__(self):
        super().__init__()
        self.first = layers.Dense(
            5, kernel_regularizer=regularizers.L2(0.5), kernel_constraint=constraints.MaxNorm(0.5)
        )
        self.last = layers.Dense(3, activity_regularizer=regularizers.L1(0.1), bias_constraint=constraints.NonNeg())
        self.adds = AddsLoss()
        self.scale = self.add_weight(shape=(3,), initializer="ones")
        self.shift = self.add_weight(shape=(3,), initializer="zeros", regularizer=regularizers.L1(0.1))

    def call(self, x):
        return self.last(self.adds(self.first(x))) * self.scale + self.shift


def plain():
    keras.utils.set_random_seed(0)
    made = Plain()
    made(X)
    return made


def check_losses_constraints_and_optimizers():
    """Regularizers of weights and activities, add_loss and constraints: step by step as Keras has them."""
    for own in (lambda: "sgd", lambda: keras.optimizers.Adam(0.1, clipnorm=0.5)):
        mine, theirs = plain(), plain()
        given = {"optimizer": own()} | ({"learning_rate": 0.1} if own() == "sgd" else {})
        rule = bptt(mine, **given)
        theirs.compile(keras.optimizers.SGD(0.1) if own() == "sgd" else own(), LOGITS)
        evaluated = float(np.ravel(theirs.evaluate(X, Y, verbose=0))[0])
        np.testing.assert_allclose(rule.model.evaluate(X, Y)["loss"], evaluated, rtol=1e-5)
        found = [rule.step(X, Y)["loss"] for _ in range(3)]
        expected = [float(np.ravel(theirs.train_on_batch(X, Y))[0]) for _ in range(3)]
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        for a, b in zip(mine.variables, theirs.variables, strict=True):
            np.testing.assert_allclose(host(a.value), host(b.value), rtol=1e-4, atol=1e-6, err_msg=a.path)
        assert rule.model.model.penalized
        assert np.linalg.norm(host(mine.first.kernel.value), axis=0).max() <= 0.5 + 1e-6
    assert not adapted(keras.Sequential([keras.Input((4,)), layers.Dense(3)]), X).penalized
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1))
    refused(lambda: bptt(plain(), optimizer=scaled), "no loss is scaled")
    elsewhere = "jax" if BACKEND != "jax" else "torch"
    refused(
        lambda: neko.BPTT(neko.Evaluator(neko.LIF(3, 2, elsewhere), loss="mse"), optimizer=keras.optimizers.SGD(0.1)),
        f"keras runs on '{BACKEND}'",
    )


def refused(f, words):
    with pytest.raises((ValueError, TypeError)) as caught:
        f()
    assert words in str(caught.value)


def adapted(model, x, **options):
    made = adapt(model, **options)
    made.prepare(x)
    return made


def outputs(model, x, training=True):
    xp = model.xp
    with xp.scope():
        given = tree.map(xp.asarray, x)
        return xp.to_numpy(model.forward(xp, model.params, given, model.buffers, training=training).outputs)[0]


class Inherits(keras.Model):
    """Leaves `training` to its layers, which inherit it."""

    def __init__(self):
        super().__init__()
        self.drop, self.out = layers.Dropout(0.5), layers.Dense(3)

    def call(self, x, training=False):
        return self.out(self.drop(x))


def check_training_is_inherited():
    model = adapted(Inherits(), X)
    assert np.abs(outputs(model, X) - outputs(model, X, training=False)).max() > 1e-3


def two(kind):
    left, right = keras.Input((4,), name="left"), keras.Input((2,), name="right")
    inputs = {"list": [right, left], "dict": {"left": left, "right": right}}[kind]
    return keras.Model(inputs, layers.Dense(3)(layers.Concatenate()([left, right])))


class SubclassedTwo(keras.Model):
    def __init__(self):
        super().__init__()
        self.out = layers.Dense(3)

    def call(self, inputs):
        return self.out(keras.ops.concatenate([*inputs], -1))


def check_inputs_and_outputs():
    for kind, ordered in (("list", (OTHER, X)), ("dict", (X, OTHER))):
        made = two(kind)
        expected = host(made({"left": X, "right": OTHER} if kind == "dict" else [OTHER, X]))
        for x in (ordered, list(ordered), {"left": X, "right": OTHER}):
            model = adapt(made)
            assert model.several(x)
            model.prepare(x)
            np.testing.assert_allclose(outputs(model, x), expected, rtol=1e-5, atol=1e-6)
    refused(lambda: adapt(two("list")).prepare((X, OTHER, X)), "x has 3 inputs")
    refused(lambda: adapt(two("list")).prepare({"left": X, "wrong": OTHER}), "'wrong'")
    assert outputs(adapted(SubclassedTwo(), (X, OTHER)), (X, OTHER)).shape == (8, 3)
    assert not adapt(keras.Sequential([layers.Dense(3)])).several([X, X])

    entry = keras.Input((4,))
    hidden = layers.Dense(5)(entry)
    probabilities, values = layers.Dense(3, activation="softmax")(hidden), layers.Dense(2)(hidden)
    several = keras.Model(entry, [probabilities, values])
    named = keras.Model(entry, {"p": probabilities, "v": values})
    found = [(m.outputs, m.ending) for m in (adapted(several, X, output=o) for o in (0, 1))]
    found += [(m.outputs, m.ending) for m in (adapted(named, X, output=o) for o in ("p", "v"))]
    assert found == [(3, "softmax"), (2, None)] * 2, found
    refused(lambda: adapted(several, X), "output=")
    assert np.isfinite(bptt(several, output=1).model.predict(X)).all()

    for tail, ending in (
        ([layers.Dense(3, activation="softmax")], "softmax"),
        ([layers.Dense(3), layers.Softmax()], "softmax"),
        ([layers.Dense(3), layers.Activation("log_softmax")], "log_softmax"),
        ([keras.Sequential([layers.Dense(3), layers.Activation("sigmoid")])], "sigmoid"),
        ([layers.Dense(3, activation="relu")], None),
    ):
        entry = y = keras.Input((4,))
        for part in tail:
            y = part(y)
        assert adapted(keras.Model(entry, y), X[:1]).ending == ending
        assert adapted(keras.Sequential([keras.Input((4,)), *tail]), X[:1]).ending == ending


def check_precision():
    """Mixed precision as Keras computes it; what is half itself learns in single precision."""
    before = keras.config.dtype_policy()
    for policy in ("mixed_float16", "bfloat16"):
        keras.config.set_dtype_policy(policy)
        try:
            made = plain()
        finally:
            keras.config.set_dtype_policy(before)
        rule = bptt(made)
        y = keras.ops.cast(made(X), "float32")
        expected = float(host(LOGITS(Y, y))) + sum(float(host(keras.ops.cast(a, "float32"))) for a in made.losses)
        found = [rule.step(X, Y)["loss"] for _ in range(10)]
        np.testing.assert_allclose(found[0], expected, rtol=2e-2)
        assert found[-1] < found[0]
        assert all("float32" in str(p.dtype) for p in rule.model.params.values())
        assert made.first.kernel.dtype == ("bfloat16" if policy == "bfloat16" else "float32")


def check_names():
    """By position, the same for the same model built again; checkpoints take them."""

    def made():
        return keras.Sequential(
            [
                keras.Input((6, 4)),
                layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
                layers.BatchNormalization(),
                layers.Dropout(0.3),
                keras.Sequential([layers.Dense(3)]),
            ]
        )

    x = RNG.standard_normal((8, 6, 4)).astype(np.float32)
    first, second = adapted(made(), x), adapted(made(), x)
    assert first.names == second.names
    assert list(first.buffers) == list(second.buffers)
    assert {"layers.1.gamma", "layers.3.layers.0.kernel"} < set(first.names)
    with tempfile.TemporaryDirectory() as folder:
        file = save_weights(first, Path(folder) / "weights.safetensors")
        assert np.abs(outputs(first, x, False) - outputs(second, x, False)).max() > 1e-3
        load_weights(second, file)
    np.testing.assert_allclose(outputs(second, x, False), outputs(first, x, False), rtol=1e-5, atol=1e-6)
    assert adapted(Plain(), X).names == adapted(Plain(), X).names
    assert {"variable", "variable_1", "layers.0.kernel"} < set(adapted(Plain(), X).names)


def check_states():
    """A stateful layer goes on from batch to batch, beginning at rest, in batches of the size that it is made for."""
    x = RNG.standard_normal((8, 6, 4)).astype(np.float32)
    y = np.eye(3, dtype=np.float32)[RNG.integers(3, size=(8, 6))]

    def made(*entry):
        keras.utils.set_random_seed(0)
        return keras.Sequential([*entry, layers.LSTM(3, stateful=True, return_sequences=True), layers.Dense(3)])

    rule = bptt(made(keras.Input(batch_shape=(4, 6, 4))), optimizer="sgd", learning_rate=0.0)
    trainer = neko.Trainer(rule)
    found = trainer.train(x, y, epochs=2, batch_size=4, shuffle=False, progress=False)["loss"]
    theirs = made(keras.Input(batch_shape=(4, 6, 4)))
    batches = [(x[:4], y[:4]), (x[4:], y[4:])]
    expected = [np.mean([float(host(LOGITS(b, theirs(a)))) for a, b in batches]) for _ in range(2)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert abs(found[0] - found[1]) > 1e-4
    # Without weights yet it is built for the batches that will come, and begins at rest.
    model = adapt(made())
    model.prepare(x, batch_size=4)
    assert [tuple(b.shape) for name, b in model.buffers.items() if "rnn_state" in name] == [(4, 3)] * 2
    assert not any(host(b).any() for name, b in model.buffers.items() if "rnn_state" in name)


class Keeps(keras.Model):
    def __init__(self):
        super().__init__()
        self.out, self.seen = layers.Dense(3), []

    def call(self, x):
        self.seen.append(1)
        self.last = x
        return self.out(x) + 0.0 * keras.random.normal((3,))


def check_a_look_leaves_no_trace():
    model = Keeps()
    model(X)
    calls, last, drawn = len(model.seen), model.last, host(keras.random.uniform((2,)))
    keras.utils.set_random_seed(1)
    adapted(model, X)
    found = host(keras.random.uniform((2,)))
    keras.utils.set_random_seed(1)
    np.testing.assert_array_equal(found, host(keras.random.uniform((2,))))
    assert len(model.seen) == calls
    assert model.last is last
    assert drawn.shape == (2,)


class Cuts(keras.Model):
    def __init__(self):
        super().__init__()
        self.first, self.last = layers.Dense(5), layers.Dense(3)

    def call(self, x):
        return self.last(keras.ops.stop_gradient(self.first(x)))


def check_freezing_and_what_is_not_recorded():
    model = plain()
    rule = bptt(model)
    rule.step(X, Y)
    model.first.trainable = False
    refused(lambda: rule.step(X, Y), "['layers.0.bias', 'layers.0.kernel'] were frozen")
    assert np.isfinite(bptt(model).step(X, Y)["loss"])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        bptt(Cuts()).step(X, Y)
    words = [str(w.message) for w in caught if w.category is GradientWarning]
    assert len(words) == 1
    assert "layers.0.bias, layers.0.kernel" in words[0]


def check_class_numbers_and_copies():
    model = keras.Sequential(
        [keras.Input((5,), dtype="int32"), layers.Embedding(10, 4), layers.GlobalAveragePooling1D(), layers.Dense(3)]
    )
    x = RNG.integers(0, 10, (8, 5))
    rule = bptt(model)
    first = rule.step(x, Y)["loss"]
    other = copy.deepcopy(rule)
    second = rule.step(x, Y)["loss"]
    assert second < first
    np.testing.assert_allclose(other.step(x, Y)["loss"], second, rtol=1e-6)


QUICK = (check_freezing_and_what_is_not_recorded,)
"""On JAX, which compiles every operation of a first look by itself, the others are left to `make proofs`."""
ALL = (
    *QUICK,
    check_losses_constraints_and_optimizers,
    check_training_is_inherited,
    check_inputs_and_outputs,
    check_precision,
    check_names,
    check_states,
    check_a_look_leaves_no_trace,
    check_class_numbers_and_copies,
)
