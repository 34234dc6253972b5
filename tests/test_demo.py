"""What the demo promises."""

from __future__ import annotations

import numpy as np
import pytest

from neko import datasets
from neko.experiments import digits


@pytest.fixture(scope="module")
def data():
    return digits.shown(datasets.load("digits").one_hot())


def learnt(data, rule, epochs, seed):
    trainer = digits.build_trainer(data, rule, "torch", epochs, seed)
    trainer.train(data.x_train, data.y_train, epochs=epochs, batch_size=digits.BATCH_SIZE, seed=seed, progress=False)
    return trainer.rule.model.evaluate(data.x_test, data.y_test)


def test_three_epochs_pass_most_digits_at_a_low_rate(data):
    found = learnt(data, "eprop", 3, 0)
    assert found["accuracy"] > 0.94
    assert 5.0 < found["firing_rate"] < 40.0


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["eprop", "bptt"])
def test_the_demo_passes_97_percent_at_no_more_than_30_hertz(data, rule):
    found = [learnt(data, rule, 20, seed) for seed in range(5)]
    assert np.mean([each["accuracy"] for each in found]) > 0.97
    assert all(5.0 < each["firing_rate"] < 30.0 for each in found)


def test_logistic_regression_is_scikit_learns(data):
    linear, metrics = pytest.importorskip("sklearn.linear_model"), pytest.importorskip("sklearn.metrics")
    _, found, _ = digits.logistic_regression(data)
    x, labels = data.x_train[:, 0], data.y_train.argmax(axis=-1)
    p = linear.LogisticRegression(max_iter=5000, tol=1e-8).fit(x, labels).predict_proba(data.x_test[:, 0])
    y = data.y_test.argmax(axis=-1)
    assert found["val_loss"][0] == pytest.approx(metrics.log_loss(y, p), rel=1e-3)
    assert found["val_accuracy"][0] == np.mean(p.argmax(axis=-1) == y)
