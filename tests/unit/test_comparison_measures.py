"""What a comparison of rules says beside deviations: against definitions, each with a case in which it is otherwise."""

from __future__ import annotations

import itertools
import math
import sys
from collections import Counter

import numpy as np
import pytest

import neko
from neko.cells import ALIF, LIF
from neko.models.network import Network
from neko.training import comparison, costs
from neko.training.activity import COLLAPSED, SATURATED, SILENT
from neko.training.deviations import HIDDEN, cosines, deviation
from neko.training.statistics import variance

RULES = ["bptt", "eprop:symmetric", "eprop:random", "eprop:adaptive"]


def data(seed=0, size=8):
    rng = np.random.default_rng(seed)
    x = (rng.random((size, 20, 6)) < 0.3).astype(float)
    mask = np.ones((size, 20))
    mask[3, 12:] = 0.0
    return x, np.eye(3)[rng.integers(3, size=size)], mask


def evaluator(xp, cells=None, loss="categorical_crossentropy", **options):
    return neko.Evaluator(neko.Model(cells or ALIF(10, tau_m=20.0, v_th=1.0), 3, xp, seed=2, **options), loss=loss)


def test_angles_are_those_of_the_plane():
    for degrees in (0.0, 1e-7, 1.0, 90.0, 179.0, 180.0):
        a, b = 3.0, 0.5
        turn = math.radians(degrees)
        g, r = a * np.array([math.cos(turn), math.sin(turn)]), np.array([b, 0.0])
        assert deviation(g, r).angle == pytest.approx(degrees, rel=1e-8, abs=0.0)
    assert math.isnan(deviation(np.zeros(2), np.ones(2)).angle)


def test_cosines_between_all_pairs_are_those_of_deviations():
    x, y, mask = data()
    found = comparison.gradients(evaluator("torch"), x, y, RULES, mask)
    pairs = found.statistics.pairs("layers.0.w_rec")
    assert pairs == pytest.approx(pairs.T)
    assert np.diag(pairs) == pytest.approx(np.ones(4))
    assert pairs[0] == pytest.approx([found[rule]["layers.0.w_rec"].cosine for rule in RULES])
    of_symmetric = comparison.gradients(evaluator("torch"), x, y, [RULES[1], RULES[2]], mask)
    assert pairs[1, 2] == pytest.approx(of_symmetric[RULES[2]]["layers.0.w_rec"].cosine)
    assert abs(pairs[1, 2]) < 0.9
    assert np.isnan(cosines([np.ones(3), np.zeros(3)])[0, 1])


def test_the_variance_is_that_around_the_mean_and_does_not_see_a_drift():
    """Of 4,000 independent draws its relative standard deviation is sqrt(3 / (4000 d)) with d = 50: 0.4 %. The bound of
    4 % is ten of them; half of it, or twice, is 125 and more away."""
    rng = np.random.default_rng(1)
    draws = rng.normal(size=(4000, 50)) * np.linspace(0.5, 2.0, 50)
    drift = 1e-3 * np.arange(4000.0)[:, None]  # by four in all, twice the largest standard deviation
    r = np.full(50, 3.0)
    expected = draws.var(axis=0, ddof=1).sum() / (r @ r)
    for g in (draws, draws + drift):
        found = np.mean([variance(now, before, r) for before, now in itertools.pairwise(g)])
        assert found == pytest.approx(expected, rel=0.04)
    assert (draws + drift).var(axis=0, ddof=1).sum() / (r @ r) > 1.5 * expected


def test_the_variance_of_a_comparison_is_that_of_its_gradients():
    x, y, mask = data()
    model = evaluator("torch")
    gradients = []

    class Kept(neko.rules.BPTT):
        def differentiate(self, *given):
            found = super().differentiate(*given)
            gradients.append({name: np.array(self.xp.to_numpy(g)) for name, g in found.gradients.items()})
            return found

    followed = neko.GradientComparison(neko.Eprop(model), {"kept": Kept}, reference="kept")
    neko.Trainer(followed).train(x, y, mask, epochs=3, progress=False)
    of_batches = gradients[::2]  # the others are of permuted targets
    rows = [row for row in followed.records if row["rule"] == "kept" and row["tensor"] == "layers.0.w_in"]
    assert rows[0]["variance"] is None
    for k in (1, 2):
        now, before = (of_batches[i]["layers.0.w_in"].ravel().astype(np.float64) for i in (k, k - 1))
        assert rows[k]["variance"] == pytest.approx(0.5 * ((now - before) ** 2).sum() / (now @ now), rel=1e-6)


@pytest.mark.quick("torch")
def test_the_control_is_the_gradient_for_permuted_targets(xp):
    x, y, mask = data()
    model = evaluator(xp)
    found = comparison.gradients(model, x, y, ["bptt", "eprop:random"], mask).statistics
    order = np.random.default_rng(0).permutation(len(y))
    assert not np.array_equal(y[order], y)
    rule = neko.BPTT(model)
    real, permuted = (rule.gradients(x, targets, mask)[1] for targets in (y, y[order]))
    for row in found.records:
        if row["tensor"] in model.params:
            expected = deviation(*(np.asarray(xp.to_numpy(g[row["tensor"]])) for g in (permuted, real))).cosine
            assert row["control"] == pytest.approx(expected, abs=1e-7 if xp.name == "torch" else 1e-6)
            assert row["control"] < 0.9999
    same = np.eye(3)[[1] * 8]
    for row in comparison.gradients(model, x, same, ["bptt", "eprop"], mask).statistics.records:
        assert row["control"] == pytest.approx(1.0, abs=1e-7), "where all targets are one, nothing is permuted"


@pytest.mark.quick("torch")
@pytest.mark.parametrize("both_ways", [False, True])
def test_signals_are_the_root_mean_square_of_those_observed(xp, both_ways):
    x, y, mask = data()
    cells = (LIF(9, tau_m=20.0, v_th=0.7), LIF(7, tau_m=20.0, v_th=0.7))
    model = evaluator(xp, cells, bidirectional=both_ways)
    rules = ["eprop:symmetric", "eprop:random", "bptt", "ostl", "rtrl"]
    statistics = comparison.gradients(model, x, y, rules, mask).statistics
    found = {(row["rule"], row["tensor"]): row["signal"] for row in statistics.records}
    prefixes = ("", "backward.") if both_ways else ("",)
    for name in rules[:2]:
        rule = neko.training.pairs.resolve(name)(model)
        layers = iter(rule.traces(x, y, mask))
        squares = []
        for prefix in prefixes:
            for i in range(2):
                square = (next(layers).signal ** 2).sum(axis=-1).mean() * mask.size / mask.sum() / cells[i].units
                squares.append(square)
                assert found[name, f"{prefix}layers.{i}.w_in"] == pytest.approx(math.sqrt(square), rel=1e-5)
                assert square > 0.0
        assert found[name, HIDDEN] == pytest.approx(math.sqrt(np.mean(squares)), rel=1e-5)
        assert found[name, f"{prefixes[-1]}readout.w_out"] is None
    assert {found[of] for of in found if of[0] == "bptt"} == {None}
    for prefix in prefixes:
        for layer in (f"{prefix}layers.0.w_rec", f"{prefix}layers.1.w_rec"):
            assert found["ostl", layer] == found["eprop:symmetric", layer], "without credit between layers"
        assert found["rtrl", f"{prefix}layers.1.w_in"] == found["eprop:symmetric", f"{prefix}layers.1.w_in"]
        assert found["rtrl", f"{prefix}layers.0.w_in"] is None, "by the influence of one layer on the next"


@pytest.mark.parametrize("others", [["eprop:symmetric"], [neko.rules.BPTT]], ids=["recorded", "run for it"])
def test_flags_are_raised_where_they_must(others):
    """The same whether a rule has recorded a forward pass or not."""
    x, y, mask = data()
    common = {"tau_m": 20.0}

    def layers(cells, x, mask=mask):
        found = comparison.gradients(evaluator("torch", cells), x, y, {"first": "bptt", "second": others[0]}, mask)
        return {row["layer"]: row for row in found.statistics.activity}

    cells = (LIF(9, v_th=0.05, **common), LIF(8, v_th=0.7, **common), LIF(7, v_th=9.0, **common))
    found = layers(cells, x)
    rates = [found[f"layers.{i}"]["rate"] for i in range(3)]
    assert rates[0] > SATURATED > rates[1] > SILENT > rates[2]
    assert [found[f"layers.{i}"]["saturated"] for i in range(3)] == [True, False, False]
    assert [found[f"layers.{i}"]["silent"] for i in range(3)] == [False, False, True]
    assert not any(row["collapsed"] for row in found.values() if row["layer"] != "layers.2")
    model = neko.Evaluator(neko.Model(cells[1], 3, "torch", seed=2), "mean_squared_error", ["firing_rate"])
    rate = layers(cells[1:2], x)["layers.0"]["rate"]
    assert 1000.0 * rate == pytest.approx(model.evaluate(x, y, mask)["firing_rate"], rel=1e-5)

    alike = layers(cells[1:2], np.broadcast_to(x[:1], x.shape), None)
    assert alike["layers.0"]["collapsed"]
    assert alike["outputs"]["collapsed"]
    assert alike["layers.0"]["variation"] < COLLAPSED < layers(cells[1:2], x)["layers.0"]["variation"]
    one = comparison.gradients(
        evaluator("torch", cells[1:2]), x[:1], y[:1], ["bptt", others[0] if others == ["eprop:symmetric"] else "eprop"]
    )
    assert {row["variation"] for row in one.statistics.activity} == {None}, "one input has none to differ from"


def test_the_variation_is_the_spread_around_the_mean_of_the_batch():
    x, y, mask = data()
    model = evaluator("torch", loss="mean_squared_error")
    emitted, last = model.model.record, model.predict
    model.build(x)
    expected = {
        "layers.0": spread(emitted(x)[0].z, mask[..., None]),
        "outputs": spread(last(x, mask)[:, None], np.ones((8, 1, 1))),  # the targets are those of whole sequences
    }
    for row in comparison.gradients(model, x, y, ["bptt", "eprop"], mask).statistics.activity:
        assert row["variation"] == pytest.approx(expected[row["layer"]], rel=1e-4)
        assert row["variation"] > 0.1
    timed = np.broadcast_to(y[:, None], (8, 20, 3))
    row = comparison.gradients(model, x, timed, ["bptt", "eprop"], mask).statistics.activity[1]
    assert row["variation"] == pytest.approx(spread(last(x, mask, every_step=True), mask[..., None]), rel=1e-4)


def spread(z, valid):
    """The variation of (batch, time, n), from its definition."""
    mean = (valid * z).sum(axis=0) / np.maximum(valid.sum(axis=0), 1.0)
    return np.sqrt((valid * (z - mean) ** 2).sum() / (valid * z**2).sum())


@pytest.mark.quick("torch")
def test_rules_that_record_the_same_pass_run_it_once(xp, monkeypatch):
    x, y, mask = data()
    runs = Counter()
    record = Network.record

    def counted(network, *given):
        runs[network.cells[0].detach_reset] += 1
        return record(network, *given)

    model = evaluator(xp, (ALIF(10, tau_m=20.0, v_th=1.0), LIF(8, tau_m=20.0, v_th=0.7)))
    alone = {name: neko.training.pairs.resolve(name)(model).gradients(x, y, mask)[1] for name in RULES}
    monkeypatch.setattr(Network, "record", counted)
    made = comparison.clones(model, RULES)
    gradients = comparison.gradients(model, x, y, [*RULES[1:], "rtrl"], mask)
    assert runs == {True: 1, False: 1}, (
        "three rules share a pass, the control too; that with credit by the reset is another"
    )
    runs.clear()
    for rule in made.values():
        rule.gradients(x, y, mask)
    assert runs == {True: 3}, "outside of a comparison nothing is shared"
    for name in RULES[1:2]:
        own = {p: np.asarray(xp.to_numpy(g)) for p, g in alone[name].items() if p in model.params}
        expected = {p: deviation(own[p], own[p]).norm_ratio for p in own}
        assert {p: gradients[name][p].norm_ratio for p in own} == pytest.approx(expected)


def test_what_is_shared_is_bit_for_bit_what_each_rule_computes():
    x, y, mask = data()
    model = evaluator("torch")
    model.build(x)
    batch = model.examples(x, y, mask)
    made = comparison.clones(model, RULES)
    comparison.share_feedback(list(made.values()), batch.x)
    for rule in made.values():
        rule.model.params = model.params
    found = neko.training.together.Together(made, "bptt")(batch, 0)
    for name, rule in made.items():
        own = rule.gradients_of(batch)[1]
        for parameter, g in found.gradients[name].items():
            assert np.array_equal(g, np.asarray(own[parameter])), (name, parameter)


class Large(neko.rules.BPTT):
    """It fills 200 MB for a moment."""

    def differentiate(self, *given):
        assert np.ones(25_000_000).sum() > 0.0
        return super().differentiate(*given)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured by Linux's proc")
def test_costs_are_of_each_rule_alone():
    x, y, mask = data()
    followed = neko.GradientComparison(neko.BPTT(evaluator("torch")), ["eprop", Large], measure_costs=True)
    neko.Trainer(followed).train(x, y, mask, epochs=1, progress=False)
    assert all(cost.seconds > 0.0 for cost in followed.costs.values())
    memory = {name: cost.megabytes for name, cost in followed.costs.items()}
    if memory["large"] is None:
        pytest.skip("no GNU C library, or no right to reset the peak of memory")
    assert 185.0 < memory["large"] < 300.0
    assert memory["bptt"] < 50.0
    assert memory["eprop:symmetric"] < 50.0
    assert [row["seconds"] for row in followed.table("summary")[1] if row["tensor"] == HIDDEN] == [
        followed.costs[rule].seconds for rule in ("bptt", "eprop:symmetric", "large")
    ]
    assert costs.peak(lambda: None) < 20.0
