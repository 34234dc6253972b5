"""What a person can get wrong, and the words that come back: the bad value and what was expected."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

import neko
from neko import backend
from neko.cells import ALIF, LIF, LSTM, RNN, AdEx
from neko.devices import SoftBounds

XP = backend.get("torch")
X, Y = np.zeros((4, 5, 3)), np.eye(2)[[0, 1, 0, 1]]


def evaluator(**options):
    return neko.Evaluator(neko.LIF(6, 2, XP), loss="categorical_crossentropy", **options)


class Whole(neko.rules.GradientRule):
    """A rule for whole sequences."""

    def differentiate(self, params, feedback, batch, carry):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: LIF(0), "units=0"),
        (lambda: LIF(True), "units=True"),
        (lambda: LIF(4, tau_m=0.0), "tau_m=0.0: expected a finite value above 0"),
        (lambda: LIF(4, tau_m=[5.0, -1.0, 5.0, 5.0]), "tau_m="),
        (lambda: LIF(4, reset="none"), "reset='none': expected one of \\('subtract', 'zero'\\)"),
        (lambda: LIF(4, tau_m=[5.0, 6.0]), "tau_m has 2 entries: expected one number or one per neuron, of which .* 4"),
        (lambda: ALIF(2, beta=np.zeros(3)), "beta has 3 entries"),
        (lambda: AdEx(2, dt=[1.0, 1.0]), "dt=.1.0, 1.0.: expected a finite value above 0, one number"),
        (lambda: LIF(2, t_ref=[1.0, -2.0]), "t_ref="),
        (lambda: LIF(4, tau_m="long"), "tau_m='long': expected a finite value above 0"),
        (lambda: LIF(4, tau_m=None), "tau_m=None"),
        (lambda: LIF(4, surrogate=0.5), "surrogate=0.5: expected one of neko.cells.surrogates"),
        (lambda: ALIF(4, beta=float("nan")), "beta=nan"),
        (lambda: RNN(4, activation="gelu"), "'tanh', 'sigmoid', 'relu'"),
        (lambda: AdEx(4, v_t=-80.0), "e_l < v_t < v_peak"),
        (lambda: neko.Model([], 2, XP), "expected one Cell or more"),
        (lambda: neko.Model([LIF(4), LIF(4, dt=0.5)], 2, XP), "time steps differ"),
        (lambda: neko.Model(LIF(4), 0, XP), "outputs=0"),
        (lambda: neko.Model(3, 2, XP), "cells=3: expected a list"),
        (lambda: neko.LIF(4, 2, XP, tau=5.0), "LIF has no option 'tau': expected one of .*'tau_out'.*'tau_m'"),
        (lambda: neko.LIF(None, 2, XP), "units=None: expected a list, for example .* or a number"),
        (lambda: neko.LIF(4, 2, XP, seed=0.5), "seed=0.5: expected an integer of at least 0"),
        (lambda: neko.FiringRate(None), "FiringRate: target=None: expected a finite number"),
        (lambda: neko.Manhattan(dead_zone=None), "dead_zone=None"),
        (lambda: neko.Manhattan(seed="a"), "seed='a'"),
        (lambda: SoftBounds(g_max="high"), "g_max='high'"),
        (lambda: SoftBounds(dg_min_std=None), "dg_min_std=None"),
        (lambda: neko.datasets.load(["digits"]), r"data set \['digits'\]: expected one of"),
        (lambda: neko.checkpoint.save_weights(3, "a"), "model=3: expected a model or an Evaluator"),
        (lambda: AdEx(4, e_l="low"), "e_l='low': expected a finite value"),
        (lambda: LSTM(4, forget_bias=None), "forget_bias=None: expected a finite value"),
        (lambda: neko.checkpoint.read(3), "path=3: expected a path"),
        (lambda: neko.compare.gradients(evaluator(), X, Y, None), "rules=None: expected a list"),
        (lambda: neko.LIF(4, 2, XP, task_type="ranking"), "'classification', 'regression'"),
        (lambda: neko.LIF(4, 2, XP, tau_out=-1.0), "tau_out=-1.0"),
        (lambda: evaluator(target="first"), "'every', 'last', 'mean'"),
        (lambda: evaluator(reduction="max"), "'mean', 'sum'"),
        (lambda: evaluator(reduction=np.zeros(2)), "reduction=array.*'mean', 'sum'"),
        (lambda: evaluator(regularizer=True), "regularizer=True: expected a FiringRate or None"),
        (lambda: neko.LIF(4, 2, XP).predict([[1.0, 2.0], [1.0]]), "x is list: expected an array.*equal length"),
        (lambda: evaluator(metrics=None), "metrics=None: expected a list"),
        (lambda: evaluator(metrics="accuracy"), "metrics='accuracy': expected a list"),
        (lambda: evaluator(metrics=["acuracy"]), "'accuracy'"),
        (lambda: neko.Evaluator(neko.LIF(4, 2, XP), loss="crossentropy"), "categorical_crossentropy"),
        (lambda: neko.Eprop(evaluator(), mode="mirror"), "'symmetric', 'random', 'adaptive'"),
        (lambda: neko.Eprop(evaluator(), chunk=0), "chunk=0"),
        (lambda: neko.Eprop(evaluator(), online=True), "needs chunk"),
        (lambda: neko.Eprop(evaluator(), feedback_decay=0.1), "mode='adaptive'"),
        (lambda: neko.Eprop(evaluator(target="mean"), chunk=2).step(X, Y), "target='mean'"),
        (lambda: neko.Eprop(evaluator(target="last"), chunk=2, online=True).step(X, Y), "target='last'"),
        (lambda: neko.BPTT(evaluator(), truncation=0), "truncation=0"),
        (lambda: neko.LearningRule(Whole(evaluator()), stream=True), "stream=True: Whole carries no state.*use Eprop"),
        (lambda: neko.rules.SnAp(evaluator(), level=0), "level=0"),
        (lambda: neko.rules.SnAp(evaluator(), level=2, mode="random"), "mode=.random. with level=2: .*symmetric"),
        (lambda: neko.rules.SketchedRTRL(evaluator(), rank=-1), "rank=-1"),
        (lambda: neko.rules.UORO(evaluator(), seed=0.5), "seed=0.5"),
        (lambda: neko.BPTT(evaluator(), clip_norm=-1.0), "clip_norm=-1.0"),
        (lambda: neko.BPTT(evaluator(), clip_norm="1"), "clip_norm='1'"),
        (lambda: neko.BPTT(evaluator(), optimizer="adan"), "'adam'"),
        (lambda: neko.BPTT(evaluator()).step(X[0], Y), r"\(batch, time, n_in\)"),
        (lambda: neko.BPTT(evaluator()).step(X[:, :0], Y), "none of them 0"),
        (lambda: neko.BPTT(evaluator()).step(X, Y[:3]), r"y has shape \(3, 2\)"),
        (lambda: neko.BPTT(evaluator()).step(X, Y.argmax(1)), "sparse_categorical_crossentropy"),
        (lambda: neko.BPTT(evaluator()).step(X, Y, np.ones((4, 4))), r"mask has shape \(4, 4\)"),
        (lambda: neko.Trainer(neko.BPTT(evaluator())).train(X, Y, epochs=0), "epochs=0"),
        (lambda: neko.Trainer(neko.BPTT(evaluator())).train(X, Y[:2]), r"\[4, 2\] examples"),
    ],
)
def test_a_wrong_value_is_named(wrong, words):
    with pytest.raises((ValueError, TypeError), match=words):
        wrong()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: neko.Evaluator("alif", loss="mse"), "expected a Model"),
        (lambda: neko.Eprop(neko.LIF(4, 2, XP)), "expected an Evaluator"),
        (lambda: neko.Trainer(evaluator()), "expected a learning rule"),
        (lambda: evaluator(metrics="accuracy"), "expected a list"),
        (lambda: neko.LIF(4, 2, XP, tau_mem=5.0), "tau_mem"),
        (lambda: neko.Eprop(evaluator(), kappa=0.5), "kappa"),
    ],
)
def test_a_wrong_kind_or_option_is_named(wrong, words):
    with pytest.raises(TypeError, match=words):
        wrong()


def test_classes_out_of_range_are_refused():
    model = neko.Evaluator(neko.LIF(6, 2, XP), loss="sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="expected 0 to 1"):
        neko.BPTT(model).step(X, np.array([0, 1, 2, 0]))


def test_another_width_than_the_model_was_built_for_is_refused():
    model = evaluator()
    neko.BPTT(model).step(X, Y)
    with pytest.raises(ValueError, match="built for width 3"):
        model.evaluate(X[..., :2], Y)


def spoilt(a, index, value):
    changed = np.array(a, dtype=type(value) if isinstance(value, complex) else a.dtype)
    changed[index] = value
    return changed


FRAMES = np.eye(2)[np.zeros((4, 5), int)]
MASK = np.ones((4, 5))
WRONG_DATA = {
    "a nan": ((spoilt(X, (1, 4, 2), np.nan), Y), r"x\[1, 4, 2\] is nan: expected finite numbers; mask or fill"),
    "an inf": ((spoilt(X, (3, 0, 1), -np.inf), Y), r"x\[3, 0, 1\] is -inf"),
    "a nan target": ((X, spoilt(Y, (2, 1), np.nan)), r"y\[2, 1\] is nan"),
    "strings": ((np.full((4, 5, 3), "a"), Y), "x has dtype <U1: expected real numbers"),
    "objects": ((np.full((4, 5, 3), None), Y), r"x\[0, 0, 0\] is nan: .*fill what is missing"),
    "dates": ((X.astype("datetime64[s]"), Y), "x has dtype datetime64"),
    "complex": ((X.astype(complex), Y), "x has dtype complex128: expected real numbers"),
    "complex target": ((X, Y.astype(complex)), "y has dtype complex128"),
    "ragged": (([[[1.0, 2.0]], [[1.0]]], Y), "x is list: expected an array|inhomogeneous"),
    "a number": ((3.0, Y), r"x has shape \(\)"),
    "none": ((None, Y), "x is NoneType|x has shape|dtype object"),
    "a dict": (({"a": X}, Y), "x is dict|dtype object"),
    "no target": ((X, None), "y is NoneType|y has dtype object|without y"),
    "rank 2": ((X[0], Y), r"x has shape \(5, 3\): expected \(batch, time, n_in\)|\[5, 4\] examples"),
    "rank 4": ((X[None], Y), r"x has shape \(1, 4, 5, 3\)|\[1, 4\] examples"),
    "T = 0": ((X[:, :0], Y), r"x has shape \(4, 0, 3\).*none of them 0"),
    "no inputs": ((X[..., :0], Y), r"none of them 0"),
    "empty batch": ((X[:0], Y[:0]), r"none of them 0|at least 1"),
    "few targets": ((X, Y[:3]), r"y has shape \(3, 2\): expected \(4, 2\)|\[4, 3\] examples"),
    "wide targets": ((X, np.eye(3)[[0, 1, 2, 0]]), r"y has shape \(4, 3\): expected \(4, 2\)"),
    "long targets": ((X, np.zeros((4, 6, 2))), r"y has shape \(4, 6, 2\): .*\(4, 5, 2\)"),
    "two classes": ((X, spoilt(Y, (2,), 1.0)), r"y\[2\] is \[1. 1.\]: categorical_crossentropy expected one-hot"),
    "no class": ((X, spoilt(Y, (3,), 0.0)), r"y\[3\] is \[0. 0.\]: .*sum 1"),
    "negative": ((X, spoilt(Y, (1,), [2.0, -1.0])), r"y\[1\] is \[ 2. -1.\]"),
    "a frame": ((X, spoilt(FRAMES, (1, 4), 0.5 + np.arange(2))), r"y\[1, 4\] is \[0.5 1.5\]"),
    "half a mask": ((X, Y, spoilt(MASK, (2, 3), 0.5)), r"mask\[2, 3\] is 0.5: expected 0 at padded frames, else 1"),
    "nan mask": ((X, Y, spoilt(MASK, (2, 3), np.nan)), r"mask\[2, 3\] is nan"),
    "empty row": ((X, Y, spoilt(MASK, (2,), 0.0)), r"mask\[2\] is 0 everywhere: expected a valid frame"),
    "long mask": ((X, Y, np.ones((4, 6))), r"mask has shape \(4, 6\): expected \(batch, time\) = \(4, 5\)"),
    "mask of inputs": ((X, Y, np.ones((4, 5, 3))), r"mask has shape \(4, 5, 3\)"),
}


@pytest.mark.parametrize("kind", WRONG_DATA)
def test_wrong_data_are_named_wherever_they_come_in(kind):
    data, words = WRONG_DATA[kind]
    rule = neko.BPTT(evaluator())
    rule.start(X)
    before = dict(rule.model.params)
    calls = [rule.step, rule.gradients, rule.model.evaluate, neko.Trainer(rule).train]
    for call in calls:
        with pytest.raises((ValueError, TypeError), match=words):
            call(*data)
    for call in calls[2:]:
        with pytest.raises((ValueError, TypeError), match=words.replace("|without y", "|")):
            call([tuple(data)])
    assert all(before[name] is w for name, w in rule.model.params.items())
    assert rule.steps == 0


@pytest.mark.parametrize(
    ("y", "words"),
    [
        ([0, 1, 2, 0], "y has classes 0 to 2: expected 0 to 1"),
        ([0, -1, 1, 0], "y has classes -1 to 1: expected 0 to 1"),
        ([0.0, 1.0, 0.5, 0.0], r"y\[2\] is 0.5: expected class numbers, which are integers"),
        ([0.0, np.nan, 1.0, 0.0], r"y\[1\] is nan"),
        (["a", "b", "a", "b"], "y has dtype <U1"),
        (np.eye(2)[[0, 1, 1, 0]], r"y has shape \(4, 2\): expected \(4,\)"),
    ],
)
def test_wrong_classes_are_named(y, words):
    model = neko.Evaluator(neko.LIF(6, 2, XP), "sparse_categorical_crossentropy")
    for call in (neko.BPTT(model).step, model.evaluate, neko.Trainer(neko.BPTT(model)).train):
        with pytest.raises((ValueError, TypeError), match=words):
            call(X, y)


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        ((X[0],), {}, r"x has shape \(5, 3\)"),
        ((X[:0],), {}, "none of them 0"),
        ((X[..., :2],), {}, "built for width 3"),
        ((spoilt(X, (0, 1, 2), np.nan),), {}, r"x\[0, 1, 2\] is nan"),
        (("digits",), {}, "dtype <U6"),
        ((None,), {}, "x is NoneType: expected an array"),
        ((X,), {"batch_size": 0}, "batch_size=0: expected a positive integer"),
        ((X,), {"batch_size": -3}, "batch_size=-3"),
        ((X,), {"batch_size": 1.5}, "batch_size=1.5"),
        ((X, np.ones((4, 6))), {}, r"mask has shape \(4, 6\): expected \(batch, time\) = \(4, 5\)"),
        ((X, np.ones((3, 5))), {}, r"mask has shape \(3, 5\)"),
        ((X, np.full((4, 5), 0.5)), {}, r"mask\[0, 0\] is 0.5"),
        ((X, np.zeros((4, 5))), {}, r"mask\[0\] is 0 everywhere"),
        ((X, "all"), {}, "mask has dtype|mask has shape"),
    ],
)
def test_predict_names_what_is_wrong(arguments, options, words):
    model = evaluator()
    model.build(X)
    with pytest.raises((ValueError, TypeError), match=words):
        model.predict(*arguments, **options)


def test_a_model_alone_looks_at_its_inputs_too():
    """`Model.predict` and `record` as `Evaluator.predict`: numbers of every kind, and wrong ones named."""
    model = neko.RNN(3, 2, XP)
    x = np.random.default_rng(1).integers(0, 255, (4, 5, 3))
    expected = model.predict(x.astype(np.float64))
    for kind in (np.int64, np.uint8, np.float32):
        assert np.allclose(model.predict(x.astype(kind)), expected, atol=1e-6), kind
    assert np.allclose(model.predict(x.tolist()), expected, atol=1e-6)
    assert np.array_equal(model.record(x)[0].z, model.record(x.astype(np.float32))[0].z)
    for call in (model.predict, model.record):
        with pytest.raises(ValueError, match=r"x\[0, 1, 2\] is nan"):
            call(spoilt(X, (0, 1, 2), np.nan))
        with pytest.raises(TypeError, match="x has dtype <U1"):
            call(np.full((4, 5, 3), "a"))


def test_predict_takes_lists_and_masks_of_every_kind():
    """In pieces or whole, the output of the last valid step; class probabilities sum to 1."""
    model, mask = evaluator(), np.array([[1, 1, 1, 0, 0]] * 4)
    x = np.random.default_rng(0).random((4, 5, 3)) * 9
    expected = model.predict(x[:, :3])
    for given in (mask, mask.tolist(), mask.astype(bool), mask.astype(np.uint8), XP.asarray(mask)):
        assert np.allclose(model.predict(x.tolist(), given, batch_size=3), expected, atol=1e-6)
    assert np.allclose(expected.sum(-1), 1.0, atol=1e-6)
    assert not np.allclose(model.predict(x), expected, atol=1e-3)


RIGHT = {
    "uint8 images": lambda x: (255 * x).astype(np.uint8),
    "int64": lambda x: (255 * x).astype(np.int64),
    "bool": lambda x: x > 0.5,
    "float16": lambda x: x.astype(np.float16),
    "transposed": lambda x: np.asfortranarray(x),
    "reversed": lambda x: x[::-1],
    "read-only": lambda x: np.broadcast_to(x[:1], x.shape),
    "memory order": lambda x: x.astype(">f4"),
}


@pytest.mark.parametrize("backend_name", backend.installed())
def test_numbers_of_every_kind_are_taken(backend_name):
    """As the same numbers in double precision; labels too, as bool or bytes."""
    x = np.random.default_rng(1).random((4, 5, 3)).astype(np.float32)
    model = neko.Evaluator(neko.RNN(3, 2, backend_name), "categorical_crossentropy")
    for name, change in RIGHT.items():
        values = change(x)
        expected = model.evaluate(np.array(values, np.float64), Y)["loss"]
        for y in (Y, Y.astype(bool), Y.astype(np.uint8), Y.astype(int).tolist()):
            assert model.evaluate(values, y)["loss"] == pytest.approx(expected, rel=1e-6), name
    sparse = neko.Evaluator(model.model, "sparse_categorical_crossentropy")
    expected = model.evaluate(x, Y)["loss"]
    for kind in (np.uint8, np.int8, np.int32, np.int64, np.float32, bool):
        assert sparse.evaluate(x, Y.argmax(-1).astype(kind))["loss"] == pytest.approx(expected, rel=1e-6), kind
    rule = neko.BPTT(sparse)
    assert np.isfinite(rule.step((255 * x).astype(np.uint8), Y.argmax(-1).astype(np.uint8))["loss"])


@pytest.mark.parametrize("backend_name", backend.installed())
def test_arrays_of_another_framework_are_taken(backend_name):
    x = np.random.default_rng(1).random((4, 5, 3)).astype(np.float32)
    model = neko.Evaluator(neko.RNN(3, 2, backend_name), "categorical_crossentropy")
    mask = np.array([[1, 1, 1, 0, 0]] * 4, np.float32)
    expected, outputs = model.evaluate(x, Y, mask), model.predict(x, mask)
    for other in backend.installed():
        xp = backend.get(other)
        with xp.scope():
            data = [xp.asarray(a) for a in (x, Y.astype(np.float32), mask)]
        assert model.evaluate(*data) == pytest.approx(expected, rel=1e-6)
        assert np.allclose(model.predict(data[0], data[2]), outputs, atol=1e-6)


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs PyTorch")
def test_a_tensor_with_history_is_taken():
    import torch

    x = torch.ones((4, 5, 3), requires_grad=True) * 2.0
    model = evaluator()
    assert model.evaluate(x, Y) == model.evaluate(np.full((4, 5, 3), 2.0, np.float32), Y)
    assert np.isfinite(neko.BPTT(model).step(x, Y)["loss"])
