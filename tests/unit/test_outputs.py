"""The loss says what outputs are: predictions, metrics and what a model ends in go by it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import neko
from neko import losses
from neko.losses import Loss
from neko.metrics import Metric, weighted

RNG = np.random.default_rng(0)
X = RNG.standard_normal((6, 8, 3)).astype(np.float32)
LABELS = RNG.integers(0, 2, 6)
EVENTS = RNG.integers(0, 2, (6, 2)).astype(np.float32)


def spiking(outputs=2, backend="torch", **options):
    return neko.LIF(8, outputs, backend, v_th=0.4, **options)


def absolute(xp, y, t):
    return xp.sum(xp.abs(y - t), axis=-1)


@pytest.mark.quick("torch", "jax")
@pytest.mark.parametrize("backend", ["torch", "jax", "tensorflow"])
def test_predictions_go_by_the_link_of_the_loss(backend):
    model = spiking(backend=backend)
    raw = neko.Evaluator(model, loss="mse").predict(X)
    assert (raw < 0).any()
    e = np.exp(raw.astype(np.float64))
    links = {
        "categorical_crossentropy": e / e.sum(axis=-1, keepdims=True),
        "kl": e / e.sum(axis=-1, keepdims=True),
        "binary_crossentropy": e / (1.0 + e),
        "poisson": e,
        "half_squared_error": raw,
        "mae": raw,
        absolute: raw,
        Loss("own", absolute, link="sigmoid"): e / (1.0 + e),
    }
    for loss, expected in links.items():
        found = neko.Evaluator(model, loss=loss).predict(X)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6, err_msg=str(loss))


def test_the_task_that_was_said_does_not_overrule_the_loss():
    for task in ("classification", "regression", None):
        model = spiking(task_type=task, seed=3)
        raw = neko.Evaluator(model, loss="mse").predict(X)
        np.testing.assert_allclose(raw, neko.Evaluator(spiking(seed=3), loss="mse").predict(X))
        probabilities = neko.Evaluator(model, loss="categorical_crossentropy").predict(X)
        np.testing.assert_allclose(probabilities.sum(axis=-1), 1.0, rtol=1e-5)


def test_one_output_with_a_loss_of_ones_own():
    found = neko.Evaluator(spiking(1), loss=absolute).predict(X)
    assert found.shape == (6, 1)
    assert np.ptp(found) > 0.01, "not a softmax of one"


def test_binary_cross_entropy_is_pytorchs():
    model = neko.Evaluator(spiking(), loss="bce", metrics=["accuracy"], target="last")
    found = model.evaluate(X, EVENTS)
    logits = torch.tensor(neko.Evaluator(model.model, loss="mse").predict(X))
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.tensor(EVENTS)).item()
    assert found["loss"] == pytest.approx(expected, rel=1e-5)
    assert found["accuracy"] == pytest.approx(((logits > 0).float() == torch.tensor(EVENTS)).float().mean().item())
    for value in (2.0, -1.0):
        with pytest.raises(ValueError, match="binary_crossentropy expected numbers of at least 0 and at most 1"):
            model.evaluate(X, np.full((6, 2), value))


def test_the_gradient_of_binary_cross_entropy_at_zero():
    """At a logit of 0 it is ½ - t, where a formula by max(y, 0) would have 1 or 0."""
    xp = neko.backend.get("torch", dtype="float64")
    loss = losses.resolve("binary_crossentropy")
    for t in (0.0, 1.0):
        target = xp.asarray(np.full((1, 1), t))
        gradient = xp.value_and_grad(lambda y, t=target: xp.sum(loss(xp, y, t)))(xp.zeros((1, 1)))[1]
        assert float(gradient) == pytest.approx(0.5 - t)


class Ending(torch.nn.Module):
    """A linear layer and what comes after it in `forward`, where nobody sees it."""

    def __init__(self, after):
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.after = torch.nn.Linear(3, 2), after

    def forward(self, x):
        return self.after(self.linear(x))


def soft(x):
    return torch.softmax(x, -1)


def test_outputs_that_have_passed_the_link():
    """By `from_logits=False`, loss, metrics, prediction and gradient are those of the same logits."""
    x, y = X[:, 0], np.eye(2)[LABELS]
    cases = {"categorical_crossentropy": (soft, y), "bce": (torch.sigmoid, EVENTS), "poisson": (torch.exp, EVENTS)}
    for loss, (link, target) in cases.items():
        metrics = ["accuracy", "mean_squared_error"] if loss != "poisson" else ["mean_squared_error"]
        plain = neko.Evaluator(Ending(lambda x: x), loss=loss, metrics=metrics, from_logits=True)
        after = neko.Evaluator(Ending(link), loss=loss, metrics=metrics, from_logits=False)
        assert after.evaluate(x, target) == pytest.approx(plain.evaluate(x, target), rel=1e-5), loss
        np.testing.assert_allclose(after.predict(x), plain.predict(x), rtol=1e-5)
        np.testing.assert_allclose(after.clone().predict(x), plain.predict(x), rtol=1e-5)
        found, expected = (neko.BPTT(e).gradients(x, target)[1] for e in (after, plain))
        for name, g in expected.items():
            np.testing.assert_allclose(found[name].numpy(), g.numpy(), rtol=1e-4, atol=1e-6)


def test_probabilities_of_zero_and_one_stay_finite():
    hard = lambda x: torch.softmax(1e6 * x, -1)  # noqa: E731
    model = neko.Evaluator(Ending(hard), loss="categorical_crossentropy", from_logits=False)
    assert np.isfinite(model.evaluate(X[:, 0], np.eye(2)[LABELS])["loss"])


@pytest.mark.parametrize("metric", ["accuracy", "top_5_accuracy", "perplexity"])
def test_measures_of_classes_without_classes_are_refused(metric):
    with pytest.raises(ValueError, match=f"metric '{metric}'"):
        neko.Evaluator(spiking(1), loss="mse", metrics=[metric])
    module = neko.Evaluator(torch.nn.Linear(3, 1), loss="mse") if metric == "perplexity" else None
    if module is None:
        module = neko.Evaluator(torch.nn.Linear(3, 1), loss="mse", metrics=[metric])
        with pytest.raises(ValueError, match="no classes to tell apart"):
            module.evaluate(X[:, 0], np.ones((6, 1)))


def test_the_accuracy_of_a_regression_is_refused_and_of_one_hot_targets_is_not():
    model = neko.Evaluator(spiking(), loss="mse", metrics=["accuracy"])
    with pytest.raises(ValueError, match=r"y\[0\] is .*metric 'accuracy' expected targets that name a class"):
        model.evaluate(X, RNG.standard_normal((6, 2)))
    with pytest.raises(ValueError, match=r"y\[1\] is \[1\. 1\.\]"):
        model.evaluate(X, np.array([[1.0, 0.0]] + [[1.0, 1.0]] * 5))
    outputs = model.predict(X)
    found = model.evaluate(X, np.eye(2)[LABELS])["accuracy"]
    assert found == pytest.approx(np.mean(outputs.argmax(-1) == LABELS))
    assert model.evaluate(X, 2.0 * np.eye(2)[LABELS] - 1.0)["accuracy"] == found, "targets of -1 and 1"


def test_cross_entropy_of_one_output_is_refused():
    for loss in ("categorical_crossentropy", "sparse_categorical_crossentropy"):
        with pytest.raises(ValueError, match=r"1 output: expected two or more classes.*binary_crossentropy"):
            neko.Evaluator(spiking(1), loss=loss)


def test_from_logits_where_it_means_nothing():
    with pytest.raises(ValueError, match="from_logits=True: the loss 'mean_squared_error' has no link"):
        neko.Evaluator(spiking(), loss="mse", from_logits=True)
    with pytest.raises(TypeError, match="from_logits='yes'"):
        neko.Evaluator(spiking(), loss="bce", from_logits="yes")


def test_a_metric_of_ones_own_is_told_what_it_sees():
    seen = {}

    def look(xp, context):
        seen.update(prediction=context.prediction.numpy(), outputs=context.outputs.numpy(), link=context.link)
        return weighted(xp, context.prediction[..., 0], context.weight)

    model = neko.Evaluator(spiking(), loss="categorical_crossentropy", metrics=[look], target="last")
    model.evaluate(X, np.eye(2)[LABELS])
    np.testing.assert_allclose(seen["prediction"], model.predict(X), rtol=1e-6)
    np.testing.assert_allclose(seen["outputs"], neko.Evaluator(model.model, loss="mse").predict(X), rtol=1e-6)
    assert seen["link"] == "softmax"


def test_squared_error_beside_a_cross_entropy_is_of_probabilities():
    """Of class numbers too: the Brier score over the number of classes."""
    for loss, y in (("categorical_crossentropy", np.eye(2)[LABELS]), ("sparse_categorical_crossentropy", LABELS)):
        model = neko.Evaluator(spiking(), loss=loss, metrics=["mean_squared_error"], target="last")
        expected = np.mean((model.predict(X) - np.eye(2)[LABELS]) ** 2)
        assert model.evaluate(X, y)["mean_squared_error"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.quick("torch", "tensorflow")
@pytest.mark.parametrize("backend", ["torch", "jax", "tensorflow"])
def test_a_target_at_every_step_has_a_prediction_at_every_step(backend):
    model = neko.Evaluator(spiking(backend=backend), loss="mse")
    assert model.predict(X).shape == (6, 2), "nothing is known of the targets"
    y = np.zeros((6, 8, 2))
    loss = model.evaluate(X, y)["loss"]
    every = model.predict(X, batch_size=4)
    assert every.shape == (6, 8, 2)
    assert loss == pytest.approx(np.mean(every**2), rel=1e-5)
    np.testing.assert_allclose(model.predict(X, every_step=False), every[:, -1], rtol=1e-6)
    model.evaluate(X, y[:, 0])
    assert model.predict(X).shape == (6, 2)
    assert model.predict(X, every_step=True).shape == (6, 8, 2)


def test_the_advice_for_a_wrong_target_fits_the_loss():
    with pytest.raises(ValueError, match="y has shape") as found:
        neko.Evaluator(spiking(), loss="mse").evaluate(X, LABELS)
    assert "sparse_categorical_crossentropy" not in str(found.value)
    with pytest.raises(ValueError, match="sparse_categorical_crossentropy takes class numbers"):
        neko.Evaluator(spiking(), loss="categorical_crossentropy").evaluate(X, LABELS)


def test_a_metric_that_needs_classes_says_so():
    own = Metric("errors", lambda xp, c: weighted(xp, 1.0 - c.prediction[..., 0], c.weight), of_classes=True)
    with pytest.raises(ValueError, match="metric 'errors' of one output"):
        neko.Evaluator(spiking(1), loss="mse", metrics=[own])


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_another_objective_holds_from_the_next_call_on(backend):
    """Also where the old one was compiled."""
    y = np.eye(2)[LABELS]
    model, other = neko.Evaluator(spiking(backend=backend), loss="mse"), neko.Evaluator(spiking(), loss="mae")
    rule = neko.BPTT(model)
    rule.gradients(X, y)
    before = model.evaluate(X, y)["loss"]
    model.objective = other.objective
    expected = other.evaluate(X, y)["loss"]
    assert before != pytest.approx(expected, rel=1e-3)
    assert model.evaluate(X, y)["loss"] == pytest.approx(expected, rel=1e-5)
    assert float(rule.gradients(X, y)[0]) == pytest.approx(expected, rel=1e-5)
