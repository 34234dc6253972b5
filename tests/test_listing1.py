"""Listing 1 of the paper, word for word, on every backend."""

from __future__ import annotations

import numpy as np
import pytest

from neko import ALIF, Eprop, Evaluator, Trainer, backend, datasets
from neko.backend import installed


def listing(backend, x_train, y_train, epochs):
    """The lines of the paper after its import of a backend."""
    rsnn = ALIF(128, 10, backend, task_type="classification")
    model = Evaluator(rsnn, loss="categorical_crossentropy", metrics=["accuracy", "firing_rate"])
    learning_rule = Eprop(model, mode="symmetric")
    trainer = Trainer(learning_rule)
    trainer.train(x_train, y_train, epochs=epochs)
    return trainer


@pytest.mark.quick("torch")
@pytest.mark.parametrize("name", installed())
def test_listing_1_learns_real_digits(name):
    """Over 12 seeds of weights and order the test accuracy is 0.765 ± 0.025, the loss falls to 0.53 ± 0.025 of the
    first epoch's and the rate is 190 ± 20 Hz: the bounds are 6.6 deviations away and more (one in 10^10 for normal
    numbers, one in 10^6 if the deviation of so few seeds is too small by a quarter).
    A network that learns nothing has an accuracy of 0.1 ± 0.02 and keeps its loss.
    """
    from neko.backend import jax_backend, pytorch_backend, tensorflow_backend

    chosen = {"torch": pytorch_backend, "jax": jax_backend, "tensorflow": tensorflow_backend}[name]
    assert chosen is backend.get(name)
    digits = datasets.load("digits").one_hot()
    trainer = listing(chosen, digits.x_train, digits.y_train, epochs=15)
    history = trainer.history
    assert {len(values) for values in history.values()} == {15}
    assert history["loss"][-1] < 0.8 * history["loss"][0]
    found = trainer.rule.model.evaluate(digits.x_test, digits.y_test)
    assert found.keys() == {"loss", "accuracy", "firing_rate"}
    assert all(isinstance(value, float) for value in found.values())
    assert found["accuracy"] > 0.6
    assert 20.0 < found["firing_rate"] < 400.0


@pytest.mark.parametrize(
    "rule", ["symmetric", *(pytest.param(mode, marks=pytest.mark.slow) for mode in ("random", "adaptive"))]
)
def test_backends_take_the_same_steps(rule):
    """Same seed, same data: losses agree to single-precision rounding, whatever the framework."""
    digits = datasets.load("digits").one_hot()
    losses = {}
    for name in installed():
        model = Evaluator(ALIF(32, 10, name, seed=5), loss="categorical_crossentropy")
        learner = Eprop(model, mode=rule, optimizer="sgd", learning_rate=0.05)
        losses[name] = [learner.step(digits.x_train[:64], digits.y_train[:64])["loss"] for _ in range(3)]
    assert losses["torch"][0] > losses["torch"][-1]
    for name, values in losses.items():
        np.testing.assert_allclose(values, losses["torch"], rtol=2e-6, err_msg=name)
