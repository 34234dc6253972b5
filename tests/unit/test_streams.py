"""The books of online learning and of streams: what is reported, which pieces fit, what is carried."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import neko

RNG = np.random.default_rng(0)
X, LABELS = 2.0 * RNG.standard_normal((3, 12, 4)), np.array([0, 1, 1])
FRAMES = RNG.integers(0, 2, (3, 12))
MASK = np.ones((3, 12))
MASK[0, 5:], MASK[2, 9:] = 0.0, 0.0


def evaluator(backend="torch", **options):
    options = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]} | options
    return neko.Evaluator(neko.LIF(6, 2, backend, v_th=0.5, seed=1), **options)


def online(model, chunk, **options):
    return neko.Eprop(model, chunk=chunk, online=True, optimizer="sgd", learning_rate=0.0, **options)


@pytest.mark.quick("torch", "tensorflow")
@pytest.mark.parametrize(
    ("backend", "reduction"), [("torch", "mean"), ("torch", "sum"), ("jax", "sum"), ("tensorflow", "sum")]
)
def test_what_is_reported_online_is_what_evaluation_reports(backend, reduction):
    """At rate 0, whatever the chunk: loss and metrics, of targets per frame and per sequence, with masks."""
    for y in (FRAMES, LABELS) if backend == "torch" else (LABELS,):
        for mask in (None, MASK) if backend == "torch" else (MASK,):
            model = evaluator(backend, reduction=reduction)
            expected = model.evaluate(X, y, mask)
            for chunk in (1, 5, 12) if backend == "torch" else (6,):
                found = online(model, chunk).step(X, y, mask)
                assert found == pytest.approx(expected, rel=1e-4), (y.shape, mask is None, chunk)


def test_the_history_of_online_learning_is_that_of_its_data():
    """Over batches of different size."""
    model = evaluator(reduction="sum")
    history = neko.Trainer(online(model, 4)).train(X, LABELS, MASK, batch_size=2, progress=False)
    assert history["loss"][0] == pytest.approx(model.evaluate(X, LABELS, MASK)["loss"], rel=1e-5)
    assert history["accuracy"][0] == model.evaluate(X, LABELS, MASK)["accuracy"]


def streaming(rule=neko.Eprop, **options):
    return rule(evaluator(reduction="sum", **options), stream=True, optimizer="sgd", learning_rate=0.0)


@pytest.mark.parametrize("rule", [neko.Eprop, neko.BPTT])
def test_pieces_of_a_stream_add_up_to_the_sequence(rule):
    expected = evaluator(reduction="sum").evaluate(X, FRAMES)["loss"]
    stream = streaming(rule)
    found = [stream.step(X[:, a:b], FRAMES[:, a:b])["loss"] for a, b in ((0, 3), (3, 4), (4, 12))]
    assert sum(found) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("rule", [neko.Eprop, neko.BPTT])
def test_a_ragged_stream_goes_on_when_a_sequence_has_ended(rule):
    """Each sequence adds what it would alone; when all have ended, nothing is left to learn."""
    stream = streaming(rule)
    pieces = [slice(0, 4), slice(4, 8), slice(8, 12)]
    found = [stream.step(X[:, p], FRAMES[:, p], MASK[:, p])["loss"] for p in pieces]
    alive = [int(MASK[:, p].any(axis=1).sum()) for p in pieces]
    assert alive == [3, 3, 2]
    total = sum(loss * count for loss, count in zip(found, alive, strict=True))
    assert total == pytest.approx(3 * evaluator(reduction="sum").evaluate(X, FRAMES, MASK)["loss"], rel=1e-5)
    steps = stream.steps
    ended = MASK.copy()
    ended[:, :] = 0.0
    stream.reset()
    assert stream.step(X[:, :4], FRAMES[:, :4], ended[:, :4]) == {}
    assert stream.steps == steps


@pytest.mark.parametrize("rule", [neko.Eprop, neko.BPTT])
def test_frames_before_the_first_target_are_read(rule):
    """A piece in which no frame counts moves the state, and no weight."""
    late = np.ones((3, 12))
    late[:, :6] = 0.0
    expected = evaluator(reduction="sum").evaluate(X, FRAMES, late)["loss"]
    stream = streaming(rule)
    assert stream.step(X[:, :6], FRAMES[:, :6], late[:, :6]) == {}
    assert stream.step(X[:, 6:], FRAMES[:, 6:], late[:, 6:])["loss"] == pytest.approx(expected, rel=1e-5)
    found = online(evaluator(reduction="sum"), 3).step(X, FRAMES, late)["loss"]
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("rule", [neko.Eprop, neko.BPTT, lambda e, **o: neko.Eprop(e, chunk=2, online=True, **o)])
def test_a_piece_of_other_sequences_is_refused(rule):
    for size in (1, 2):
        stream = streaming(rule)
        stream.step(X[:, :6], FRAMES[:, :6])
        with pytest.raises(ValueError, match=rf"chunk of {size} sequences in a stream of 3: .* reset\(\)"):
            stream.step(X[:size, 6:], FRAMES[:size, 6:])
        stream.reset()
        stream.step(X[:size], FRAMES[:size])


@pytest.mark.parametrize("target", ["last", "mean"])
@pytest.mark.parametrize("rule", [neko.Eprop, neko.BPTT])
def test_a_piece_does_not_know_the_end_of_its_sequence(rule, target):
    stream = streaming(rule, target=target)
    for door in (stream.step, stream.gradients):
        with pytest.raises(ValueError, match=f"stream=True with target='{target}': the end of a sequence is not known"):
            door(X[:, :4], LABELS)
    stream.step(X[:, :4], FRAMES[:, :4])  # targets at every step say themselves where they hold


def test_a_trainer_keeps_the_pieces_of_a_stream_in_order():
    """Arrays are shown one after the other, in every epoch alike."""
    x, y = np.linspace(0.0, 0.1, 24).reshape(12, 2, 1), np.zeros((12, 2, 2))

    class Watch(neko.BPTT):
        def learn(self, portion):
            seen.append(float(portion.x[0, 0, 0]))
            return super().learn(portion)

    seen = []
    rule = Watch(neko.Evaluator(neko.RNN(4, 2, "torch"), loss="mse"), stream=True)
    neko.Trainer(rule).train(x, y, epochs=2, batch_size=1, progress=False)
    assert seen == x[:, 0, 0].astype(np.float32).tolist() * 2
    with pytest.raises(ValueError, match="shuffle=True of a stream"):
        neko.Trainer(rule).train(x, y, batch_size=1, shuffle=True, progress=False)


def test_a_module_has_no_stream():
    with pytest.raises(ValueError, match=r"stream=True: .* has no state to carry"):
        neko.BPTT(neko.Evaluator(torch.nn.Linear(3, 2), loss="mse"), stream=True)


def test_an_interrupted_sequence_leaves_nothing_behind():
    """A chunk that fails must not be where the next sequence begins."""
    rule = neko.Eprop(evaluator(), chunk=3, online=True, optimizer="sgd", learning_rate=0.0)
    expected = rule.step(X, FRAMES)

    class Failing(neko.errors.NonFiniteError):
        pass

    steps, advance = [], rule._advance

    def fail(*arguments):
        steps.append(1)
        if len(steps) == 3:
            raise Failing(0, "loss", "a test")
        return advance(*arguments)

    rule._advance = fail
    with pytest.raises(Failing):
        rule.step(X, FRAMES)
    rule._advance = advance
    assert rule.step(X, FRAMES) == expected


def test_a_rule_that_leaves_out_a_gradient_is_told():
    class Half(neko.rules.BPTT):
        def differentiate(self, params, feedback, batch, carry):
            found = super().differentiate(params, feedback, batch, carry)
            return found._replace(gradients={k: g for k, g in found.gradients.items() if k != "readout.b_out"})

    for door in ("step", "gradients"):
        with pytest.raises(ValueError, match=r"Half\.differentiate gave no gradient of \['readout\.b_out'\]"):
            getattr(neko.LearningRule(Half(evaluator())), door)(X, FRAMES)


@pytest.mark.parametrize("per_sequence", [False, True])
@pytest.mark.parametrize("form", [{}, {"chunk": 5}, {"stepwise": True}, {"chunk": 5, "stepwise": True}])
def test_the_rate_term_of_each_sequence(form, per_sequence):
    """Every form of e-prop against automatic differentiation with its cuts, RTRL against BPTT; with masks."""
    from neko.verification import ORACLES
    from neko.verification.cases import Case

    xp = neko.backend.get("torch", dtype="float64")
    model = neko.Evaluator(
        neko.Model([neko.cells.ALIF(5, v_th=0.4), neko.cells.LIF(4, v_th=0.3)], 2, xp, tau_out=8.0, seed=1),
        loss="sparse_categorical_crossentropy",
        regularizer=neko.FiringRate(target=50.0, strength=3.0, per_sequence=per_sequence),
    )
    bptt = neko.BPTT(model).gradients(X, FRAMES, MASK)[1]
    case = Case(xp, model, X, FRAMES, MASK, bptt)
    assert ORACLES["cut autodiff"](case, neko.Eprop(model, **form)) < 1e-12
    if not form:
        assert ORACLES["bptt"](case, neko.RTRL(model)) < 1e-12
        each = [neko.BPTT(model).gradients(X[b : b + 1], FRAMES[b : b + 1], MASK[b : b + 1])[1] for b in range(3)]
        plain = neko.BPTT(neko.Evaluator(model.model, loss="sparse_categorical_crossentropy"))
        rest = plain.gradients(X, FRAMES, MASK)[1]["layers.0.w_in"]
        own = [
            g["layers.0.w_in"] - plain.gradients(X[b : b + 1], FRAMES[b : b + 1], MASK[b : b + 1])[1]["layers.0.w_in"]
            for b, g in enumerate(each)
        ]
        same = np.allclose((bptt["layers.0.w_in"] - rest).numpy(), (sum(own) / 3).numpy(), rtol=1e-9, atol=1e-13)
        assert same == per_sequence, "the term of a batch is the mean of its sequences' only if it is per sequence"


@pytest.mark.parametrize("rule", [neko.BPTT, neko.Eprop])
def test_online_is_a_stream_of_chunks(rule):
    """An update after every chunk equals, bit for bit, an update after every piece that a person cuts."""
    options = {"optimizer": "sgd", "learning_rate": 0.1}
    online = rule(evaluator(reduction="sum"), chunk=4, online=True, **options)
    by_hand = rule(evaluator(reduction="sum"), stream=True, **options)
    for _ in range(2):
        online.step(X, FRAMES)
        for begin in range(0, X.shape[1], 4):
            by_hand.step(X[:, begin : begin + 4], FRAMES[:, begin : begin + 4])
        by_hand.reset()
    assert online.steps == by_hand.steps == 2 * -(-X.shape[1] // 4)
    for name, w in online.model.params.items():
        assert torch.equal(w, by_hand.model.params[name]), name


def test_chunks_truncate_bptt():
    found = neko.BPTT(evaluator(), chunk=3).gradients(X, FRAMES)[1]
    expected = neko.BPTT(evaluator(), truncation=3).gradients(X, FRAMES)[1]
    whole = neko.BPTT(evaluator()).gradients(X, FRAMES)[1]
    assert all(torch.equal(found[name], g) for name, g in expected.items())
    assert not torch.equal(found["layers.0.w_rec"], whole["layers.0.w_rec"])


@pytest.mark.parametrize("mode", ["symmetric", "adaptive"])
def test_restoring_a_stream_runs_no_gradient(mode, monkeypatch):
    def made():
        return neko.Eprop(evaluator(), mode=mode, stream=True, optimizer="sgd", learning_rate=0.1)

    first, second = made(), made()
    first.step(X[:, :6], FRAMES[:, :6])
    batch = second.model.examples(X[:, :6], FRAMES[:, :6])
    with monkeypatch.context() as patch:
        patch.setattr(second.gradient, "differentiate", lambda *arguments: pytest.fail("a gradient was computed"))
        second.load(first.exported(), [batch])
    for rule in (first, second):
        rule.step(X[:, 6:], FRAMES[:, 6:])
    for name, w in first.model.params.items():
        assert torch.equal(w, second.model.params[name]), name
