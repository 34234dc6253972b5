"""Losses against their formulas in NumPy and against the frameworks' own."""

from __future__ import annotations

import numpy as np
import pytest

import neko
from neko import losses
from neko.losses import LOSSES, Loss

SHAPE = (4, 3, 5)


def softmax(y):
    e = np.exp(y - y.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def example(name):
    """Prediction and a fitting target, with time and batch leading."""
    rng = np.random.default_rng(3)
    y = rng.normal(size=SHAPE)
    target = {
        "categorical_crossentropy": softmax(rng.normal(size=SHAPE)),
        "kl_divergence": softmax(rng.normal(size=SHAPE)),
        "sparse_categorical_crossentropy": rng.integers(0, SHAPE[-1], size=SHAPE[:-1]),
        "poisson": rng.poisson(2.0, size=SHAPE),
        "binary_crossentropy": rng.random(size=SHAPE),
    }
    return y, target.get(name, rng.normal(size=SHAPE))


FORMULAS = {
    "categorical_crossentropy": lambda y, t: -(t * np.log(softmax(y))).sum(-1),
    "sparse_categorical_crossentropy": lambda y, t: -np.log(np.take_along_axis(softmax(y), t[..., None], -1))[..., 0],
    "binary_crossentropy": lambda y, t: (np.log(1.0 + np.exp(y)) - t * y).mean(-1),
    "mean_squared_error": lambda y, t: ((y - t) ** 2).mean(-1),
    "half_squared_error": lambda y, t: 0.5 * ((y - t) ** 2).sum(-1),
    "mean_absolute_error": lambda y, t: np.abs(y - t).mean(-1),
    "poisson": lambda y, t: (np.exp(y) - t * y).mean(-1),
    "kl_divergence": lambda y, t: (t * np.log(t / softmax(y))).sum(-1),
}

# ∂loss/∂y of one example, from paper and pencil.
ERRORS = {
    "categorical_crossentropy": lambda y, t: softmax(y) - t,
    "sparse_categorical_crossentropy": lambda y, t: softmax(y) - np.eye(SHAPE[-1])[t],
    "binary_crossentropy": lambda y, t: (1.0 / (1.0 + np.exp(-y)) - t) / SHAPE[-1],
    "mean_squared_error": lambda y, t: 2.0 * (y - t) / SHAPE[-1],
    "half_squared_error": lambda y, t: y - t,
    "mean_absolute_error": lambda y, t: np.sign(y - t) / SHAPE[-1],
    "poisson": lambda y, t: (np.exp(y) - t) / SHAPE[-1],
    "kl_divergence": lambda y, t: softmax(y) - t,
}


def test_every_loss_has_a_formula_here():
    assert LOSSES
    assert LOSSES.keys() == FORMULAS.keys() == ERRORS.keys()
    assert [name for name, loss in LOSSES.items() if loss.sparse] == ["sparse_categorical_crossentropy"]


@pytest.mark.parametrize("name", LOSSES)
def test_value_and_error(xp, name):
    y, t = example(name)
    loss, target = losses.resolve(name), xp.asarray(t)
    values = loss(xp, xp.asarray(y), target)
    assert tuple(values.shape) == SHAPE[:-1]
    np.testing.assert_allclose(xp.to_numpy(values), FORMULAS[name](y, t), rtol=1e-12)
    _, error = xp.value_and_grad(lambda p: xp.sum(loss(xp, p, target)))(xp.asarray(y))
    np.testing.assert_allclose(xp.to_numpy(error), ERRORS[name](y, t), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_a_target_without_time_holds_at_every_step(xp, name):
    y, t = example(name)
    loss = losses.resolve(name)
    held = loss(xp, xp.asarray(y), xp.asarray(t[:1]))
    spread = loss(xp, xp.asarray(y), xp.asarray(np.broadcast_to(t[:1], t.shape).copy()))
    np.testing.assert_array_equal(xp.to_numpy(held), xp.to_numpy(spread))


@pytest.mark.parametrize("name", [name for name, loss in LOSSES.items() if not loss.sparse])
def test_integer_targets_are_numbers(xp, name):
    y = example(name)[0]
    one_hot = np.eye(SHAPE[-1], dtype=np.int64)[np.arange(3) + np.zeros((4, 1), dtype=int)]
    loss = losses.resolve(name)
    as_int, as_float = (loss(xp, xp.asarray(y), xp.asarray(t)) for t in (one_hot, one_hot.astype(float)))
    np.testing.assert_array_equal(xp.to_numpy(as_int), xp.to_numpy(as_float))


def test_the_losses_of_torch():
    torch = pytest.importorskip("torch")
    from torch.nn import functional

    truths = {
        "categorical_crossentropy": lambda y, t: functional.cross_entropy(y, t, reduction="none"),
        "sparse_categorical_crossentropy": lambda y, t: functional.cross_entropy(y, t, reduction="none"),
        "mean_squared_error": lambda y, t: functional.mse_loss(y, t, reduction="none").mean(-1),
        "mean_absolute_error": lambda y, t: functional.l1_loss(y, t, reduction="none").mean(-1),
        "poisson": lambda y, t: functional.poisson_nll_loss(y, t, log_input=True, reduction="none").mean(-1),
        "kl_divergence": lambda y, t: functional.kl_div(torch.log_softmax(y, -1), t, reduction="none").sum(-1),
    }
    from neko.backend import get

    xp = get("torch", dtype="float64")
    for name, truth in truths.items():
        y, t = (torch.from_numpy(a[0]) for a in example(name))
        np.testing.assert_allclose(losses.resolve(name)(xp, y, t), truth(y, t), rtol=1e-12)


def test_the_losses_of_keras():
    keras = pytest.importorskip("keras")
    pytest.importorskip("tensorflow")
    from neko.backend import get

    truths = {
        "categorical_crossentropy": lambda y, t: keras.losses.categorical_crossentropy(t, y, from_logits=True),
        "sparse_categorical_crossentropy": lambda y, t: keras.losses.sparse_categorical_crossentropy(
            t, y, from_logits=True
        ),
        "mean_squared_error": lambda y, t: keras.losses.mean_squared_error(t, y),
        "mean_absolute_error": lambda y, t: keras.losses.mean_absolute_error(t, y),
        "kl_divergence": lambda y, t: keras.losses.kl_divergence(t, keras.ops.softmax(y)),
    }
    xp = get("tensorflow", dtype="float64")
    for name, truth in truths.items():
        y, t = (xp.asarray(a) for a in example(name))
        # Keras clips probabilities at 1e-7.
        np.testing.assert_allclose(losses.resolve(name)(xp, y, t), truth(y, t), rtol=1e-6)


def test_large_logits_and_empty_classes_stay_finite(xp):
    y = xp.asarray([[1000.0, -1000.0, 0.0]])
    one_hot = xp.asarray([[1.0, 0.0, 0.0]])
    for name in ("categorical_crossentropy", "kl_divergence"):
        value, error = xp.value_and_grad(lambda p, name=name: xp.sum(losses.resolve(name)(xp, p, one_hot)))(y)
        assert float(value) == 0.0
        np.testing.assert_array_equal(xp.to_numpy(error), [[0.0, 0.0, 0.0]])
    wrong = losses.resolve("sparse_categorical_crossentropy")(xp, y, xp.asarray(np.array([1])))
    np.testing.assert_allclose(xp.to_numpy(wrong), [2000.0])


def test_half_squared_error_and_mse_differ_by_their_factor(xp):
    y, t = (xp.asarray(a) for a in example("mean_squared_error"))
    half, mean = (losses.resolve(n)(xp, y, t) for n in ("half_squared_error", "mse"))
    np.testing.assert_allclose(xp.to_numpy(half), xp.to_numpy(mean) * SHAPE[-1] / 2, rtol=1e-14)


def test_names_functions_and_errors():
    def hinge(xp, prediction, target):
        return xp.sum(xp.maximum(1.0 - prediction * target, 0.0), axis=-1)

    assert losses.resolve("mse") is LOSSES["mean_squared_error"]
    assert losses.resolve("mae") is LOSSES["mean_absolute_error"]
    assert losses.resolve("kl") is LOSSES["kl_divergence"]
    assert losses.resolve(hinge) == Loss("hinge", hinge, sparse=False)
    own = Loss("own", hinge, sparse=True)
    assert losses.resolve(own) is own
    with pytest.raises(ValueError, match="'crossentropy'") as error:
        losses.resolve("crossentropy")
    assert all(repr(name) in str(error.value) for name in LOSSES)
    for wrong in (None, 3, ["mse"]):
        with pytest.raises(TypeError, match="expected one of"):
            losses.resolve(wrong)


@pytest.mark.parametrize(
    "wrong",
    [lambda xp, y, t: xp.mean(xp.square(y - t)), lambda xp, y, t: xp.sum(xp.square(y - t), axis=-1, keepdims=True)],
    ids=["a mean over all", "an axis too many"],
)
def test_a_loss_that_is_no_value_per_step_is_refused(wrong):
    """Masks and weights would be applied to nothing."""
    pytest.importorskip("torch")
    model = neko.Evaluator(neko.RNN(4, 2, "torch"), loss=wrong)
    with pytest.raises(ValueError, match="expected one value per step and example"):
        neko.BPTT(model).step(np.ones((3, 5, 2)), np.ones((3, 5, 2)), np.ones((3, 5)))
