"""What a person can get wrong, and the words that come back: the bad value and what was expected."""

from __future__ import annotations

import numpy as np
import pytest

import neko
from neko import backend
from neko.cells import ALIF, LIF, RNN, AdEx

XP = backend.get("torch")
X, Y = np.zeros((4, 5, 3)), np.eye(2)[[0, 1, 0, 1]]


def evaluator(**options):
    return neko.Evaluator(neko.LIF(6, 2, XP), loss="categorical_crossentropy", **options)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: LIF(0), "units=0"),
        (lambda: LIF(True), "units=True"),
        (lambda: LIF(4, tau_m=0.0), "tau_m=0.0: expected a finite value above 0"),
        (lambda: LIF(4, tau_m=[5.0, -1.0, 5.0, 5.0]), "tau_m="),
        (lambda: LIF(4, reset="none"), "'subtract' or 'zero'"),
        (lambda: ALIF(4, beta=float("nan")), "beta=nan"),
        (lambda: RNN(4, activation="gelu"), "'tanh', 'sigmoid', 'relu'"),
        (lambda: AdEx(4, v_t=-80.0), "e_l < v_t < v_peak"),
        (lambda: neko.Model([], 2, XP), "expected one Cell or more"),
        (lambda: neko.Model([LIF(4), LIF(4, dt=0.5)], 2, XP), "time steps differ"),
        (lambda: neko.Model(LIF(4), 0, XP), "units=0"),
        (lambda: neko.LIF(4, 2, XP, task_type="ranking"), "'classification', 'regression'"),
        (lambda: neko.LIF(4, 2, XP, tau_out=-1.0), "tau_out=-1.0"),
        (lambda: evaluator(target="first"), "'every', 'last', 'mean'"),
        (lambda: evaluator(reduction="max"), "'mean', 'sum'"),
        (lambda: evaluator(metrics=["acuracy"]), "'accuracy'"),
        (lambda: neko.Evaluator(neko.LIF(4, 2, XP), loss="crossentropy"), "categorical_crossentropy"),
        (lambda: neko.Eprop(evaluator(), mode="mirror"), "'symmetric', 'random', 'adaptive'"),
        (lambda: neko.Eprop(evaluator(), chunk=0), "chunk=0"),
        (lambda: neko.Eprop(evaluator(), online=True), "needs chunk"),
        (lambda: neko.Eprop(evaluator(), feedback_decay=0.1), "mode='adaptive'"),
        (lambda: neko.Eprop(evaluator(target="mean"), chunk=2).step(X, Y), "target='mean'"),
        (lambda: neko.Eprop(evaluator(target="last"), chunk=2, online=True).step(X, Y), "target='last'"),
        (lambda: neko.BPTT(evaluator(), truncation=0), "truncation=0"),
        (lambda: neko.RTRL(evaluator(), stream=True), "use Eprop for streams"),
        (lambda: neko.BPTT(evaluator(), clip_norm=-1.0), "clip_norm=-1.0"),
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
    with pytest.raises(ValueError, match=words):
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
