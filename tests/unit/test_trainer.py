"""Class weights, Ctrl-C, and what a trainer does with the callbacks that it gets."""

from __future__ import annotations

import os
import signal
import threading

import numpy as np
import pytest

import neko
from neko import backend as backends
from neko.io import checkpoint
from neko.training.callbacks import Callback

RNG = np.random.default_rng(8)
X = (RNG.random((12, 8, 4)) < 0.5).astype(np.float64)
LABELS = np.array([0, 1, 2, 0, 1, 2, 0, 0, 1, 2, 1, 0])
Y = np.eye(3)[LABELS]
WEIGHTS = [2.0, 0.0, 0.5]
RULES = {
    "bptt": neko.BPTT,
    "eprop": neko.Eprop,
    "random": lambda model: neko.Eprop(model, mode="random"),
    "chunks": lambda model: neko.Eprop(model, chunk=3),
    "rtrl": neko.RTRL,
}


def evaluator(xp, loss="categorical_crossentropy", **options):
    return neko.Evaluator(neko.ALIF(6, 3, xp, tau_m=20.0, seed=2), loss, ["accuracy"], **options)


def weighted_by_hand(xp, prediction, target):
    """``- Σ_k w_k t_k log softmax(y)_k``, which is the weighted loss of one-hot targets."""
    return -xp.sum(target * xp.asarray(WEIGHTS) * xp.log_softmax(prediction), axis=-1)


def gradients(made, model, x=X, y=Y, mask=None):
    loss, found = made(model).gradients(x, y, mask)
    return float(loss), {name: np.array(model.xp.to_numpy(g)) for name, g in found.items()}


def close(found, expected, tolerance=1e-12):
    assert found[0] == pytest.approx(expected[0], rel=tolerance)
    for name, g in expected[1].items():
        assert np.abs(found[1][name] - g).max() <= tolerance * max(np.abs(g).max(), 1e-3), name


@pytest.mark.parametrize("kind", RULES)
def test_class_weights_are_the_weighted_loss_of_every_rule(kind):
    xp = backends.get("torch", dtype="float64")
    found = gradients(RULES[kind], evaluator(xp, class_weights=WEIGHTS))
    close(found, gradients(RULES[kind], evaluator(xp, weighted_by_hand)))
    close(gradients(RULES[kind], evaluator(xp, class_weights=[1, 1, 1])), gradients(RULES[kind], evaluator(xp)))
    plain = gradients(RULES[kind], evaluator(xp))
    assert max(np.abs(plain[1][name] - g).max() for name, g in found[1].items()) > 1e-3


@pytest.mark.quick("torch")
def test_class_weights_on_every_backend(xp):
    model = evaluator(xp, class_weights=WEIGHTS)
    close(gradients(neko.Eprop, model), gradients(neko.Eprop, evaluator(xp, weighted_by_hand)))
    sparse = evaluator(xp, "sparse_categorical_crossentropy", class_weights=WEIGHTS)
    close(gradients(neko.Eprop, sparse, X, LABELS), gradients(neko.Eprop, model))
    by_hand = evaluator(xp, weighted_by_hand)
    by_hand.build(X)
    model.params = by_hand.params
    assert model.evaluate(X, Y)["loss"] == pytest.approx(by_hand.evaluate(X, Y)["loss"], rel=1e-12)


def test_class_weight_two_is_each_example_twice():
    xp = backends.get("torch", dtype="float64")
    twice = np.concatenate([np.arange(12), np.flatnonzero(LABELS == 1)])
    weighted = gradients(neko.BPTT, evaluator(xp, class_weights=[1, 2, 1]))
    loss, doubled = gradients(neko.BPTT, evaluator(xp), X[twice], Y[twice])
    scale = len(twice) / len(X)
    close(weighted, (loss * scale, {name: g * scale for name, g in doubled.items()}))


def test_class_weights_of_frames_and_soft_targets():
    xp = backends.get("torch", dtype="float64")
    labels = RNG.integers(3, size=(12, 8))
    mask = np.arange(8) < RNG.integers(3, 9, size=(12, 1))
    frames = np.eye(3)[labels]
    found = gradients(neko.BPTT, evaluator(xp, class_weights=WEIGHTS), X, frames, mask)
    close(found, gradients(neko.BPTT, evaluator(xp, weighted_by_hand), X, frames, mask))
    soft = RNG.dirichlet(np.ones(3), size=12)

    def by_hand(xp, prediction, target):
        share = xp.sum(target * xp.asarray(WEIGHTS), axis=-1)
        return -share * xp.sum(target * xp.log_softmax(prediction), axis=-1)

    found = gradients(neko.BPTT, evaluator(xp, class_weights=WEIGHTS), X, soft)
    close(found, gradients(neko.BPTT, evaluator(xp, by_hand), X, soft))


@pytest.mark.parametrize(
    ("weights", "loss", "words"),
    [
        ([1.0, 2.0], "categorical_crossentropy", "class_weights has 2 entries: expected 3"),
        ([1.0, -1.0, 1.0], "categorical_crossentropy", "finite number of at least 0"),
        ([1.0, np.nan, 1.0], "categorical_crossentropy", "finite number of at least 0"),
        ([], "categorical_crossentropy", "finite number of at least 0"),
        ([1.0, 1.0, 1.0], "mse", "'mean_squared_error' has no classes"),
        ({0: 2.0, 1: 1.0, 2: 1.0}, "categorical_crossentropy", r"class_weights=\{0: 2.0.*one number a class"),
        ("123", "categorical_crossentropy", "class_weights='123'.*one number a class"),
        (2.0, "categorical_crossentropy", "class_weights=2.0.*one number a class"),
        ([1.0, None, 1.0], "categorical_crossentropy", "class_weights="),
    ],
)
def test_wrong_class_weights_are_named(weights, loss, words):
    with pytest.raises((ValueError, TypeError), match=words):
        neko.BPTT(evaluator("torch", loss, class_weights=weights)).step(X, Y)


def test_class_weights_stay_with_a_clone():
    model = evaluator("torch", class_weights=WEIGHTS)
    model.build(X)
    assert model.clone().evaluate(X, Y) == model.evaluate(X, Y)


class Told(Callback):
    """Writes down what it is told."""

    def __init__(self, log, name="", order=0):
        self.log, self.name = log, name
        self.order = order

    def note(self, what, loop):
        self.log.append((self.name + what, loop.epoch, loop.batch))

    def begin(self, loop):
        self.note("begin", loop)

    def batch(self, loop):
        self.note("batch", loop)

    def epoch(self, loop):
        self.note("epoch", loop)

    def interrupted(self, loop):
        self.note("interrupted", loop)

    def end(self, loop):
        self.note("end", loop)


def train(*callbacks, epochs=2, rule=None, **options):
    trainer = neko.Trainer(rule or neko.BPTT(evaluator("torch"), optimizer="sgd", learning_rate=0.5))
    trainer.train(X, Y, batch_size=6, epochs=epochs, callbacks=callbacks, progress=False, **options)
    return trainer


def test_a_callback_is_told_all_in_order():
    log = []
    train(Told(log))
    passes = [[("batch", e, 1), ("batch", e, 2), ("epoch", e + 1, 0)] for e in (0, 1)]
    assert log == [("begin", 0, 0), *passes[0], *passes[1], ("end", 2, 0)]


def test_order_counts_before_the_place_in_the_list():
    log = []
    train(Told(log, "late ", 2), Told(log, "b ", 1), Told(log, "a ", 1), epochs=1)
    assert [name for name, *_ in log[:3]] == ["b begin", "a begin", "late begin"]


class CtrlC(Callback):
    """Sends Ctrl-C's signal within a batch's callbacks."""

    order = -1

    def __init__(self, epoch, batch, times=1):
        self.at, self.times = (epoch, batch), times

    def batch(self, loop):
        if (loop.epoch, loop.batch) == self.at:
            for _ in range(self.times):
                os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def handler():
    """Python's own handler of Ctrl-C, which a process in the background has not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("at", [(0, 1), (1, 2), (2, 1)])
def test_ctrl_c_stops_after_the_batch_and_nothing_is_lost(at, handler, tmp_path):
    log = []
    whole = train(CtrlC(9, 9), neko.Checkpoints(tmp_path / "whole"), epochs=3)
    with pytest.raises(KeyboardInterrupt):
        train(CtrlC(*at), neko.Checkpoints(tmp_path / "cut"), Told(log), epochs=3)
    assert log[-1] == ("interrupted", *at)
    kept = checkpoint.read(checkpoint.listed(tmp_path / "cut")[-1])
    assert (kept["position"]["epoch"], kept["position"]["batch"]) == at
    keep = neko.Checkpoints(tmp_path / "cut", resume=True)
    resumed = train(CtrlC(9, 9), keep, Told([]), epochs=3)
    assert resumed.history == whole.history
    for name, w in whole.rule.model.params.items():
        assert np.array_equal(resumed.rule.model.params[name], w), name


def test_a_second_ctrl_c_stops_at_once(handler):
    log = []
    with pytest.raises(KeyboardInterrupt):
        train(CtrlC(0, 1, times=2), Told(log))
    assert log == [("begin", 0, 0)]


def test_ctrl_c_waits_for_the_epoch_of_a_sampler(handler):
    class Within(Callback):
        def begin(self, loop):
            os.kill(os.getpid(), signal.SIGINT)

    rule = neko.Langevin(evaluator("torch"), step_size=1e-4, warmup=1)
    log = []
    with pytest.raises(KeyboardInterrupt):
        train(Within(), Told(log), rule=rule)
    assert log == [("begin", 0, 0), ("batch", 0, 1), ("epoch", 1, 0), ("interrupted", 1, 0)]


def test_a_process_that_ignores_ctrl_c_goes_on():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert train(CtrlC(0, 1)).history.epochs == 2
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_training_in_a_thread():
    done = []
    thread = threading.Thread(target=lambda: done.append(train()))
    thread.start()
    thread.join()
    assert done[0].history.epochs == 2
    assert done[0].history == train().history


def test_a_failure_gives_the_handler_back(handler):
    with pytest.raises(ValueError, match="epochs"):
        train(epochs=0)
    with pytest.raises(ValueError, match="y has shape"):
        neko.Trainer(neko.BPTT(evaluator("torch"))).train(X, LABELS, progress=False)
