"""Metrics: hand-worked values, masks, and exact means over batches of unequal size."""

from __future__ import annotations

import math

import numpy as np
import pytest

from neko import metrics
from neko.metrics import METRICS, Context, Metric

TIME, BATCH, CLASSES = 4, 12, 7


def context(xp, prediction, target, weight=None, *, rates=(), frames=1.0, dt=1.0):
    """A context from NumPy arrays."""
    weight = np.ones(np.shape(prediction)[:-1]) if weight is None else weight
    return Context(
        xp.asarray(prediction),
        xp.asarray(prediction),
        xp.asarray(target),
        xp.asarray(weight),
        tuple(None if rate is None else xp.asarray(rate) for rate in rates),
        xp.asarray(frames),
        dt,
        "identity",
    )


def value(xp, metric, *contexts):
    """The metric of one or more batches."""
    metric = metrics.resolve(metric)
    pairs = [xp.jit(lambda *a, c=c: metric.measure(xp, Context(*a, c.dt, c.link)))(*c[:-2]) for c in contexts]
    return metric.finalise(sum(float(total) for total, _ in pairs) / sum(float(weight) for _, weight in pairs))


def data(seed=0):
    """Logits, class numbers and a mask with both values."""
    rng = np.random.default_rng(seed)
    mask = np.arange(TIME)[:, None] < rng.integers(1, TIME + 1, size=BATCH)
    y, t = rng.normal(size=(TIME, BATCH, CLASSES)), rng.integers(0, CLASSES, size=(TIME, BATCH))
    # The target's logit is raised in valid frames and lowered in padded ones, so that the mask matters.
    return y + np.where(mask, 0.5, -2.0)[..., None] * np.eye(CLASSES)[t], t, mask.astype(float)


def ranks(y, t):
    """Place of the target's class, 0 the best."""
    return (y > np.take_along_axis(y, t[..., None], -1)).sum(-1)


def truth(name, y, t, mask):
    """Definition of a classification metric over the valid frames."""
    keep = mask > 0
    if name == "perplexity":
        log_p = y - np.log(np.exp(y).sum(-1, keepdims=True))
        return math.exp(-np.take_along_axis(log_p, t[..., None], -1)[..., 0][keep].mean())
    k = {"accuracy": 1, "top_5_accuracy": 5}[name]
    return (ranks(y, t) < k)[keep].mean()


CLASSIFICATION = ("accuracy", "top_5_accuracy", "perplexity")


@pytest.mark.parametrize("name", CLASSIFICATION)
def test_masked_value_for_sparse_and_one_hot_targets(xp, name):
    y, t, mask = data()
    want = truth(name, y, t, mask)
    assert abs(want - truth(name, y, t, np.ones_like(mask))) > 1e-3  # the mask matters
    for target in (t, np.eye(CLASSES)[t], np.eye(CLASSES, dtype=np.int64)[t]):
        assert value(xp, name, context(xp, y, target, mask)) == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize("name", CLASSIFICATION)
def test_batches_of_unequal_size_average_exactly(xp, name):
    y, t, mask = data()
    parts = [context(xp, y[:, s], t[:, s], mask[:, s]) for s in (slice(0, 1), slice(1, BATCH))]
    want = truth(name, y, t, mask)
    assert value(xp, name, *parts) == pytest.approx(want, rel=1e-12)
    assert np.mean([value(xp, name, part) for part in parts]) != pytest.approx(want, rel=1e-6)


@pytest.mark.parametrize("name", [*CLASSIFICATION, "mean_squared_error", "mean_absolute_error"])
def test_what_stands_in_a_padded_frame_counts_nowhere(xp, name):
    y, t, mask = data()
    target = np.eye(CLASSES)[t]
    padding = np.where(mask[..., None] > 0, y, 50.0 * np.random.default_rng(1).normal(size=y.shape))
    a, b = (value(xp, name, context(xp, p, target, mask)) for p in (y, padding))
    assert a == pytest.approx(b, rel=1e-12)


def test_top_k_counts_places(xp):
    y, t, mask = data()
    scores = [value(xp, metrics.top_k(k), context(xp, y, t, mask)) for k in range(1, CLASSES + 1)]
    want = [(ranks(y, t) < k)[mask > 0].mean() for k in range(1, CLASSES + 1)]
    np.testing.assert_allclose(scores, want, rtol=1e-12)
    assert scores[0] == pytest.approx(value(xp, "accuracy", context(xp, y, t, mask)), rel=1e-12)
    assert scores[0] < scores[1] < scores[-1] == 1.0


def test_a_silent_network_scores_by_chance(xp):
    silent, every_class = np.zeros((CLASSES, CLASSES)), np.arange(CLASSES)
    for k in (1, 2, 5):
        score = value(xp, metrics.top_k(k), context(xp, silent, every_class))
        assert score == pytest.approx(k / CLASSES, rel=1e-12)
    assert value(xp, "accuracy", context(xp, silent, every_class)) == pytest.approx(1 / CLASSES)


def test_a_diverged_network_is_not_among_the_best(xp):
    diverged = np.full((2, CLASSES), np.nan)
    assert value(xp, "top_5_accuracy", context(xp, diverged, np.array([0, 3]))) == 0.0


def test_perplexity_of_a_uniform_guess_is_the_number_of_classes(xp):
    assert value(xp, "perplexity", context(xp, np.zeros((3, CLASSES)), np.array([0, 1, 2]))) == pytest.approx(CLASSES)
    hopeless = np.array([[2000.0, 0.0]])
    assert value(xp, "perplexity", context(xp, hopeless, np.array([1]))) == math.inf


def test_regression_metrics(xp):
    y, t = np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([[1.0, 4.0], [0.0, 0.0]])
    assert value(xp, "mean_squared_error", context(xp, y, t)) == pytest.approx((0 + 4 + 9 + 1) / 4)
    assert value(xp, "mean_absolute_error", context(xp, y, t)) == pytest.approx((0 + 2 + 3 + 1) / 4)
    half = np.array([1.0, 0.0])
    assert value(xp, "mean_absolute_error", context(xp, y, t, half)) == pytest.approx(1.0)


def test_firing_rate_in_hertz(xp):
    nothing = np.zeros((1, 1)), np.zeros((1, 1))
    # Three neurons in two spiking layers, a layer between that does not spike: (0.1 + 0.3 + 0.2) / 3 spikes per 2 ms.
    layers = ([0.1, 0.3], None, [0.2])
    first = context(xp, *nothing, rates=layers, frames=30.0, dt=2.0)
    assert value(xp, "firing_rate", first) == pytest.approx(100.0)
    silent = context(xp, *nothing, rates=([0.0, 0.0], None, [0.0]), frames=10.0, dt=2.0)
    assert value(xp, "firing_rate", first, silent) == pytest.approx(75.0)  # 30 of 40 frames
    with pytest.raises(ValueError, match="no spiking layer"):
        value(xp, "firing_rate", context(xp, *nothing, rates=(None,)))


@pytest.mark.parametrize("name", ["accuracy", "top_5_accuracy"])
def test_the_metrics_of_keras(name):
    keras = pytest.importorskip("keras")
    pytest.importorskip("tensorflow")
    from neko.backend import get

    xp = get("tensorflow", dtype="float64")
    y, t, _ = data(5)
    own = keras.metrics.sparse_categorical_accuracy(t, y)
    if name == "top_5_accuracy":
        own = keras.metrics.sparse_top_k_categorical_accuracy(
            t.reshape(-1), y.reshape(-1, CLASSES).astype("float32"), k=5
        )
    assert value(xp, name, context(xp, y, t)) == pytest.approx(float(np.mean(own)), rel=1e-6)


def test_names_functions_and_errors(xp):
    def margin(xp, c):
        return metrics.weighted(xp, xp.max(c.prediction, axis=-1), c.weight)

    own = metrics.resolve(margin)
    assert own == Metric("margin", margin)
    assert metrics.resolve(own) is own
    assert value(xp, margin, context(xp, np.array([[1.0, 5.0], [7.0, 2.0]]), np.array([0, 0]))) == 6.0
    of_synapses = {name for name, metric in METRICS.items() if metric.of_synapses}
    others = {"mean_squared_error", "mean_absolute_error", "firing_rate"}
    assert set(METRICS) == {*CLASSIFICATION, *others, *of_synapses}
    assert of_synapses == {"synaptic_operations", "effective_acs", "effective_macs", "dense_operations"}
    with pytest.raises(ValueError, match="'acc'") as error:
        metrics.resolve("acc")
    assert all(repr(name) in str(error.value) for name in METRICS)
    with pytest.raises(TypeError, match="expected one of"):
        metrics.resolve(None)
    for k in (0, -1, 2.0, True):
        with pytest.raises(ValueError, match="k="):
            metrics.top_k(k)
