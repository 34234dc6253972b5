"""A Keras model trained by neko against Keras's own training, on the backend that KERAS_BACKEND names.

Keras has one backend a process, so this runs in a process of its own.
"""

from __future__ import annotations

import sys

import keras
import numpy as np

import keras_converters
import keras_feedback
import keras_users
import neko
from neko.models import adapt

RATE, STEPS = 0.1, 6


def model(*, dropout: float) -> keras.Model:
    """A small classifier with a frozen layer and batch normalisation."""
    keras.utils.set_random_seed(0)
    made = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(8),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.Dropout(dropout),
            keras.layers.Dense(3),
        ]
    )
    made.layers[0].trainable = False
    return made


def values(made: keras.Model) -> dict[str, np.ndarray]:
    return {v.path.split("/", 1)[-1]: np.array(keras.ops.convert_to_numpy(v.value)) for v in made.variables}


def rule_of(made: keras.Model) -> neko.BPTT:
    evaluator = neko.Evaluator(made, loss="categorical_crossentropy", metrics=["accuracy"])
    return neko.BPTT(evaluator, optimizer="sgd", learning_rate=RATE)


def main() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((24, 6)).astype(np.float32)
    y = np.eye(3, dtype=np.float32)[rng.integers(3, size=24)]

    mine, theirs = model(dropout=0.0), model(dropout=0.0)
    start = values(mine)
    rule = rule_of(mine)
    found = [rule.step(x, y)["loss"] for _ in range(STEPS)]
    theirs.compile(keras.optimizers.SGD(RATE), keras.losses.CategoricalCrossentropy(from_logits=True))
    expected = [float(theirs.train_on_batch(x, y)) for _ in range(STEPS)]
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-5)
    assert found[-1] < found[0]
    theirs_after, after = list(values(theirs).values()), values(mine)
    for (name, value), want in zip(after.items(), theirs_after[: len(after)], strict=True):
        np.testing.assert_allclose(value, want, rtol=1e-4, atol=1e-5, err_msg=name)
        moved = not np.array_equal(value, start[name])
        frozen = name.startswith("dense/")
        assert moved != (frozen or "seed" in name), f"{name} moved: {moved}"

    # Dropout: training passes draw, evaluation does not, and the seed goes on.
    noisy = model(dropout=0.5)
    rule = rule_of(noisy)
    rule.model.build(x)
    once, twice = rule.model.evaluate(x, y), rule.model.evaluate(x, y)
    assert once == twice
    seeds = {name for name in rule.model.model.buffers if "seed" in name}
    before = {name: np.array(keras.ops.convert_to_numpy(rule.model.model.buffers[name])) for name in seeds}
    first = float(keras.ops.convert_to_numpy(rule.gradients(x, y)[0]))
    rule.step(x, y)
    after = {name: np.array(keras.ops.convert_to_numpy(rule.model.model.buffers[name])) for name in seeds}
    if keras.backend.backend() == "torch":
        # There Keras leaves dropout to torch, and its seeds alone.
        assert float(keras.ops.convert_to_numpy(rule.gradients(x, y)[0])) != first
    else:
        assert seeds
        assert all(not np.array_equal(before[name], after[name]) for name in seeds)
    np.testing.assert_allclose(
        adapt(noisy, task_type="classification").predict(x),
        keras.ops.convert_to_numpy(keras.ops.softmax(noisy(x, training=False))),
        rtol=1e-4,
        atol=1e-6,
    )
    if "all" in sys.argv[1:]:
        sampler = neko.Langevin(rule.model, warmup=2, step_size=1e-5)
        history = neko.Trainer(sampler).train(x, y, epochs=4, batch_size=10, progress=False)
        assert np.isfinite(history["logdensity"]).all()
    every = (*keras_users.ALL, *keras_feedback.ALL)
    for check in (*(every if "all" in sys.argv[1:] else keras_users.QUICK), *keras_converters.ALL):
        check()
    print("checked on", keras.backend.backend())


if __name__ == "__main__":
    main()
