"""Gradient comparison: identities that must hold exactly, and a negative control for each."""

from __future__ import annotations

import csv
import functools

import numpy as np
import pytest

import neko
from neko import compare

RULES = ["bptt", "eprop:symmetric", "eprop:random", "eprop:adaptive"]


def data(seed=0):
    rng = np.random.default_rng(seed)
    x = (rng.random((8, 20, 6)) < 0.3).astype(float)
    mask = np.ones((8, 20))
    mask[3, 12:] = 0.0
    return x, np.eye(3)[rng.integers(3, size=8)], mask


def evaluator(xp, **options):
    model = neko.ALIF(10, 3, xp, tau_m=20.0, v_th=0.6, seed=2)
    return neko.Evaluator(model, loss="categorical_crossentropy", metrics=["firing_rate"], **options)


def test_the_formulas():
    r, g = np.array([3.0, -4.0, 0.0]), np.array([3.0, 4.0, 0.0])
    found = compare.deviation(g, r)
    rms = 5.0 / np.sqrt(3.0)
    assert found.cosine == pytest.approx((9 - 16) / 25)
    assert found.norm_ratio == pytest.approx(1.0)
    assert found.relative == pytest.approx(8 / 5)
    assert found.sign_agreement == pytest.approx(2 / 3)
    assert found.bias == pytest.approx(8 / 3 / rms)
    assert found.spread == pytest.approx(np.std([0.0, 8.0, 0.0]) / rms)
    assert found.histogram.sum() == 3
    assert found.histogram[40] == 2, "zero is in the middle"
    assert np.isnan(compare.deviation(g, 0 * r).cosine)


class Again(neko.BPTT):
    """The same rule by another name."""


def test_a_rule_against_itself_deviates_nowhere(xp):
    x, y, mask = data()
    model = evaluator(xp)
    assert 20.0 < model.evaluate(x, y)["firing_rate"] < 400.0
    found = compare.gradients(model, x, y, [neko.BPTT, Again, neko.Eprop], mask)
    for name in ("bptt", "again"):
        for tensor, measures in found[name].items():
            assert measures.relative == 0.0, tensor
            assert measures.cosine == pytest.approx(1.0, abs=1e-14)
            assert measures.sign_agreement == 1.0
            assert measures.histogram.sum() == measures.histogram[40] > 0
    assert set(found["bptt"]) == {*model.params, "all"}
    assert found["eprop:symmetric"]["layers.0.w_rec"].relative > 1e-3


def test_rules_with_equal_feedback_have_equal_gradients(xp):
    """Random and adaptive feedback differ by how B goes on, not by what one B gives."""
    x, y, mask = data()
    other = functools.partial(neko.Eprop, mode="adaptive", feedback_seed=7)
    made = compare.clones(evaluator(xp), ["eprop:random", other])
    for rule in made.values():
        rule.model.build(x)
    found = compare.gradients(evaluator(xp), x, y, ["eprop:random", other], mask)
    assert found["eprop:adaptive"]["all"].relative == 0.0
    unshared = compare.deviations(
        *(compare.weights_only(rule, rule.gradients(x, y, mask)[1]) for rule in made.values())
    )
    assert unshared["all"].relative > 1e-3


def test_the_naive_change_is_minus_the_gradient_bit_for_bit(xp):
    x, y, mask = data()
    model = evaluator(xp)
    naive = functools.partial(neko.Eprop, optimizer="naive")
    followed = compare.GradientComparison(neko.BPTT(model, optimizer="naive"), [naive, "eprop:random"], changes=True)
    model.build(x)
    followed.synchronise(x)
    before = {name: np.array(xp.to_numpy(p)) for name, p in model.params.items()}
    gradients = neko.Eprop(model).gradients(x, y, mask)[1]
    change = followed.of_other("eprop:symmetric", (x, y, mask))
    for name, g in gradients.items():
        assert np.array_equal(change[name], -xp.to_numpy(g)), name
    # and the weights it leaves are the rounded sum, no optimizer between
    rule = neko.Eprop(model, optimizer="naive")
    rule.step(x, y, mask)
    for name, g in gradients.items():
        assert np.array_equal(xp.to_numpy(model.params[name]), before[name] - xp.to_numpy(g)), name
    adam = followed.of_other("eprop:random", (x, y, mask))
    assert not np.array_equal(adam["layers.0.w_in"], change["layers.0.w_in"])


def test_the_primary_trains_as_if_nobody_watched(xp):
    x, y, mask = data()
    alone, watched = evaluator(xp), evaluator(xp)
    neko.Trainer(neko.BPTT(alone)).train(x, y, mask, epochs=3, batch_size=3, progress=False)
    followed = compare.GradientComparison(neko.BPTT(watched), RULES[1:], every=2)
    history = followed.train(x, y, mask, epochs=3, batch_size=3, progress=False)
    assert len(history["loss"]) == 3
    for name, p in alone.params.items():
        assert np.array_equal(xp.to_numpy(p), xp.to_numpy(watched.params[name])), name
    batches = sorted({row["batch"] for row in followed.records})
    assert batches == [0, 2, 4, 6, 8]
    assert len(followed.records) == 5 * len(RULES) * (len(watched.params) + 1)
    relative = followed.mean("relative")
    assert relative["bptt"] == 0.0
    assert 0.0 < relative["eprop:symmetric"] < relative["eprop:random"]
    # feedback starts equal and adaptive feedback goes on learning
    first = {row["rule"]: row["relative"] for row in followed.records if row["batch"] == 0 and row["tensor"] == "all"}
    last = {row["rule"]: row["relative"] for row in followed.records if row["batch"] == 8 and row["tensor"] == "all"}
    assert first["eprop:adaptive"] == first["eprop:random"]
    assert last["eprop:adaptive"] != last["eprop:random"]
    counts = followed.histograms["eprop:random"]["all"]
    assert counts.sum() == 5 * sum(xp.to_numpy(p).size for p in watched.params.values())


def test_feedback_of_the_primary_reaches_all_or_stays_its_own(xp):
    x, y, mask = data()
    for synced in (True, False):
        primary = neko.Eprop(evaluator(xp), mode="adaptive", learning_rate=0.05)
        followed = compare.GradientComparison(primary, ["bptt", "eprop:random"], reference="bptt", sync_feedback=synced)
        followed.train(x, y, mask, epochs=3, progress=False)
        rows = {row["rule"]: row["relative"] for row in followed.records if row["tensor"] == "all"}
        assert (rows["eprop:random"] == rows["eprop:adaptive"]) == synced
        assert rows["bptt"] == 0.0


def test_weight_changes_are_those_of_the_rules_own_updates():
    x, y, mask = data()
    model = evaluator("torch")
    sgd = functools.partial(neko.Eprop, optimizer="sgd", learning_rate=0.5)
    followed = compare.GradientComparison(neko.BPTT(model, optimizer="sgd", learning_rate=0.25), [sgd], changes=True)
    followed.train(x, y, mask, epochs=1, progress=False)
    ratio = {row["tensor"]: row["norm_ratio"] for row in followed.records if row["rule"] == "eprop:symmetric"}
    # the readout's gradient is the same in both rules, the rates differ by two
    assert ratio["readout.w_out"] == pytest.approx(2.0, rel=1e-4)


def test_the_numbers_are_written_as_csv(tmp_path):
    x, y, mask = data()
    followed = compare.GradientComparison(neko.BPTT(evaluator("torch")), ["eprop:symmetric"])
    followed.train(x, y, mask, epochs=2, progress=False)
    with followed.save(tmp_path / "deep" / "numbers.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(followed.records)
    assert float(rows[-1]["relative"]) == followed.records[-1]["relative"]


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        (lambda rule: compare.GradientComparison(rule, ["bptt"]), ValueError, "is the primary"),
        (lambda rule: compare.GradientComparison(rule, []), ValueError, "one or more"),
        (lambda rule: compare.GradientComparison(rule, ["eprop", "eprop:symmetric"]), ValueError, "each once"),
        (lambda rule: compare.GradientComparison(rule, "eprop"), TypeError, "expected a list"),
        (lambda rule: compare.GradientComparison(rule, ["eprop:mirror"]), ValueError, "'symmetric'"),
        (lambda rule: compare.GradientComparison(rule, ["bptt:random"]), ValueError, "only 'eprop' has modes"),
        (lambda rule: compare.GradientComparison(rule, ["hebb"]), ValueError, "'bptt'"),
        (lambda rule: compare.GradientComparison(rule, ["eprop"], every=0), ValueError, "every=0"),
        (lambda rule: compare.GradientComparison(rule, ["eprop"], reference="rtrl"), ValueError, "reference='rtrl'"),
    ],
)
def test_wrong_values_are_named(wrong, error, words):
    with pytest.raises(error, match=words):
        wrong(neko.BPTT(evaluator("torch")))
