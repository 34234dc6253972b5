"""What comes into a backend and goes out of it: devices, arrays of other kinds, copies, and what it recorded."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import neko
from neko import backend as backends
from neko.errors import GradientError

NAMES = backends.installed()
NOWHERE = ("cuda:7", "mps:3", "/GPU:9", "gpu:9", "nonsense", "meta", "", "cuda:x", "cpu:-1")
CPU = {"torch": ("cpu", "cpu:0"), "jax": ("cpu", "cpu:0"), "tensorflow": ("cpu", "CPU:0", "/CPU:0", "/device:CPU:0")}


@pytest.mark.parametrize("name", NAMES)
def test_a_device_that_is_not_there_is_refused_with_those_that_are(name):
    for device in NOWHERE:
        with pytest.raises(ValueError, match=rf"device='{device}': {name} .* has '(cpu|CPU:0).* here; .*install"):
            backends.get(name, device=device)
    for device in CPU[name]:
        xp = backends.get(name, device=device)
        with xp.scope():
            assert float(xp.to_numpy(xp.ones((2,)) * 3.0).sum()) == 6.0


@pytest.mark.parametrize("dtype", backends.DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_a_copied_backend_is_the_same(name, dtype):
    xp = backends.get(name, dtype=dtype)
    for made in (copy.copy, copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a))):
        assert made(xp) is xp
        assert made(xp.forward_only()) is xp.forward_only()
    assert xp.differentiable
    assert not xp.forward_only().differentiable


@pytest.mark.parametrize("name", NAMES)
def test_copied_and_pickled_rules_learn_by_themselves(name):
    """A copy goes on as the original does, and what it learns stays its own."""
    x, y = np.ones((2, 3, 2)), np.zeros((2, 3, 1))
    rule = neko.BPTT(neko.Evaluator(neko.RNN(3, 1, name, seed=0), loss="mse"), optimizer="momentum")
    rule.step(x, y)
    others = [copy.deepcopy(rule), pickle.loads(pickle.dumps(rule))]
    found = [other.step(x, y) for other in others for _ in range(2)]
    expected = [rule.step(x, y) for _ in range(2)]
    assert found == expected * 2
    assert expected[0] != expected[1]


def bfloat16(framework):
    """1 + 2^-7, the least bfloat16 above 1, twice."""
    values = [1.0078125, -3.0]
    if framework == "torch":
        import torch

        return torch.tensor(values, dtype=torch.bfloat16, requires_grad=True)
    if framework == "jax":
        import jax.numpy as jnp

        return jnp.asarray(values, dtype=jnp.bfloat16)
    if framework == "tensorflow":
        import tensorflow as tf

        return tf.constant(values, dtype=tf.bfloat16)
    import ml_dtypes

    return np.array(values, dtype=ml_dtypes.bfloat16)


@pytest.mark.parametrize("source", [*NAMES, "numpy"])
@pytest.mark.parametrize("name", NAMES)
def test_arrays_of_bfloat16_come_in_whole(name, source):
    xp = backends.get(name)
    found = xp.to_numpy(xp.asarray(bfloat16(source)))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [1.0078125, -3.0])
    # As it is, it goes out in single precision.
    kept = xp.to_numpy(bfloat16(name))
    assert kept.dtype == np.float32


@pytest.mark.parametrize("dtype", [np.float16, ">f4", ">i2", np.longdouble, np.uint16, np.bool_])
@pytest.mark.parametrize("name", NAMES)
def test_arrays_of_odd_kinds_keep_their_values(name, dtype):
    xp = backends.get(name)
    given = np.array([0.0, 1.0, 0.0, 1.0]).astype(dtype)[::2]
    found = xp.to_numpy(xp.asarray(given))
    np.testing.assert_array_equal(found.astype(float), given.astype(float))
    assert found.dtype.kind == given.dtype.kind
    assert found.dtype == np.float32 or given.dtype.kind != "f"


def test_what_was_recorded_is_told(xp):
    """By structure: a gradient that happens to be zero was recorded, one past a cut was not."""
    told = []

    def f(params):
        gone = xp.stop_gradient(params["cut"])
        return xp.sum(params["used"] * gone) + 0.0 * xp.sum(params["zero"]), {"seen": gone}

    params = {name: xp.asarray(np.array([1.0, 2.0])) for name in ("used", "cut", "zero", "apart")}
    both = xp.value_and_grad(f, has_aux=True, recorded=told.append)
    for run in (both, xp.jit(both)):
        told.clear()
        (value, aux), gradients = run(params)
        assert told == [{"used": True, "cut": False, "zero": True, "apart": False}]
        assert float(value) == 5.0
        np.testing.assert_array_equal(xp.to_numpy(aux["seen"]), [1.0, 2.0])
        for name, expected in (("used", [1.0, 2.0]), ("cut", [0, 0]), ("zero", [0, 0]), ("apart", [0, 0])):
            np.testing.assert_array_equal(xp.to_numpy(gradients[name]), expected)


def detached(xp, prediction, target):
    return xp.mean(xp.square(xp.stop_gradient(prediction) - target), axis=-1)


def in_numpy(xp, prediction, target):
    return np.mean((np.asarray(prediction) - np.asarray(target)) ** 2, axis=-1)


def through_numpy(xp, prediction, target):
    return xp.asarray(np.mean((xp.to_numpy(prediction) - xp.to_numpy(target)) ** 2, axis=-1))


def whole(xp, prediction, target):
    return xp.mean(xp.astype(prediction > target, xp.dtype), axis=-1)


def smooth_loss(xp, prediction, target):
    return xp.mean(xp.square(prediction - target), axis=-1)


@pytest.mark.parametrize("loss", [detached, in_numpy, through_numpy, whole])
@pytest.mark.parametrize("rule", [neko.BPTT, neko.Eprop, neko.RTRL])
@pytest.mark.parametrize("name", NAMES)
def test_a_loss_that_leaves_the_graph_is_refused(name, rule, loss):
    x, y = np.ones((2, 1, 2), np.float32), np.ones((2, 1, 1), np.float32)
    with pytest.raises(GradientError, match=f"the loss '{loss.__name__}'"):
        rule(neko.Evaluator(neko.LIF(3, 1, name), loss=loss)).gradients(x, y)


@pytest.mark.parametrize("name", NAMES)
def test_a_weight_that_rightly_gets_no_gradient_is_let_be(name):
    """In a single step none reaches recurrent weights."""
    x, y = np.ones((2, 1, 2), np.float32), np.ones((2, 1, 1), np.float32)
    _, gradients = neko.BPTT(neko.Evaluator(neko.LIF(3, 1, name), loss=smooth_loss)).gradients(x, y)
    assert not np.any(np.asarray(gradients["layers.0.w_rec"]))
    assert np.any(np.asarray(gradients["readout.w_out"])) or np.any(np.asarray(gradients["readout.b_out"]))
