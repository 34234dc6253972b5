"""Gradient comparison: identities that must hold exactly, and a negative control for each."""

from __future__ import annotations

import csv
import functools

import numpy as np
import pytest

import neko
from neko import plots
from neko.training import comparison

RULES = ["bptt", "eprop:symmetric", "eprop:random", "eprop:adaptive"]


def data(seed=0):
    rng = np.random.default_rng(seed)
    x = (rng.random((8, 20, 6)) < 0.3).astype(float)
    mask = np.ones((8, 20))
    mask[3, 12:] = 0.0
    return x, np.eye(3)[rng.integers(3, size=8)], mask


def evaluator(xp, **options):
    model = neko.ALIF(10, 3, xp, tau_m=20.0, v_th=1.0, seed=2)
    return neko.Evaluator(model, loss="categorical_crossentropy", metrics=["firing_rate"], **options)


def test_the_formulas():
    r, g = np.array([3.0, -4.0, 0.0]), np.array([3.0, 4.0, 0.0])
    found = comparison.deviation(g, r)
    rms = 5.0 / np.sqrt(3.0)
    assert found.cosine == pytest.approx((9 - 16) / 25)
    assert found.norm_ratio == pytest.approx(1.0)
    assert found.relative == pytest.approx(8 / 5)
    assert found.sign_agreement == pytest.approx(2 / 3)
    assert found.bias == pytest.approx(8 / 3 / rms)
    assert found.spread == pytest.approx(np.std([0.0, 8.0, 0.0]) / rms)
    assert found.histogram.sum() == 3
    assert found.histogram[40] == 2, "zero is in the middle"
    assert np.isnan(comparison.deviation(g, 0 * r).cosine)


class Again(neko.rules.BPTT):
    """The same rule by another name."""


@pytest.mark.quick("torch")
def test_a_rule_against_itself_deviates_nowhere(xp):
    x, y, mask = data()
    model = evaluator(xp)
    assert 20.0 < model.evaluate(x, y)["firing_rate"] < 150.0
    found = comparison.gradients(model, x, y, [neko.BPTT, Again, neko.Eprop], mask)
    for name in ("bptt", "again"):
        for tensor, measures in found[name].items():
            assert measures.relative == 0.0, tensor
            assert measures.cosine == pytest.approx(1.0, abs=1e-14)
            assert measures.sign_agreement == 1.0
            assert measures.histogram.sum() == measures.histogram[40] > 0
    assert set(found["bptt"]) == {*model.params, "all hidden", "all readout"}
    assert found["eprop:symmetric"]["layers.0.w_rec"].relative > 1e-3


@pytest.mark.quick("torch")
def test_rules_with_equal_feedback_have_equal_gradients(xp):
    """Random and adaptive feedback differ by how B goes on, not by what one B gives."""
    x, y, mask = data()
    other = functools.partial(neko.Eprop, mode="adaptive", feedback_seed=7)
    made = comparison.clones(evaluator(xp), ["eprop:random", other])
    for rule in made.values():
        rule.model.build(x)
    found = comparison.gradients(evaluator(xp), x, y, ["eprop:random", other], mask)
    assert found["eprop:adaptive"]["all hidden"].relative == 0.0
    unshared = comparison.deviations(
        *(comparison.weights_only(rule, rule.gradients(x, y, mask)[1]) for rule in made.values())
    )
    assert unshared["all hidden"].relative > 1e-3


@pytest.mark.quick("torch", "tensorflow")
def test_the_naive_change_is_minus_the_gradient_bit_for_bit(xp):
    x, y, mask = data()
    model = evaluator(xp)
    naive = functools.partial(neko.Eprop, optimizer="naive")
    followed = neko.GradientComparison(neko.BPTT(model, optimizer="naive"), [naive, "eprop:random"], changes=True)
    model.build(x)
    batch = model.examples(x, y, mask)
    followed.synchronise(batch.x)
    before = {name: np.array(xp.to_numpy(p)) for name, p in model.params.items()}
    gradients = neko.Eprop(model).gradients(x, y, mask)[1]
    change = followed.of_other("eprop:symmetric", batch)
    for name, g in gradients.items():
        assert np.array_equal(change[name], -xp.to_numpy(g)), name
    # and the weights it leaves are the rounded sum, no optimizer between
    rule = neko.Eprop(model, optimizer="naive")
    rule.step(x, y, mask)
    for name, g in gradients.items():
        assert np.array_equal(xp.to_numpy(model.params[name]), before[name] - xp.to_numpy(g)), name
    adam = followed.of_other("eprop:random", batch)
    assert not np.array_equal(adam["layers.0.w_in"], change["layers.0.w_in"])


@pytest.mark.quick("torch", "jax")
def test_the_primary_trains_as_if_nobody_watched(xp):
    x, y, mask = data()
    alone, watched = evaluator(xp), evaluator(xp)
    neko.Trainer(neko.BPTT(alone)).train(x, y, mask, epochs=5, batch_size=4, progress=False)
    followed = neko.GradientComparison(neko.BPTT(watched), RULES[1:], every=2)
    history = neko.Trainer(followed).train(x, y, mask, epochs=5, batch_size=4, progress=False)
    assert len(history["loss"]) == 5
    for name, p in alone.params.items():
        assert np.array_equal(xp.to_numpy(p), xp.to_numpy(watched.params[name])), name
    batches = sorted({row["batch"] for row in followed.records})
    assert batches == [0, 2, 4, 6, 8]
    assert len(followed.records) == 5 * len(RULES) * (len(watched.params) + 2)
    relative = followed.mean("relative")
    assert relative["bptt"] == 0.0
    assert 0.0 < relative["eprop:symmetric"] < relative["eprop:random"]
    # feedback starts equal and adaptive feedback goes on learning
    rows = [row for row in followed.records if row["tensor"] == "all hidden"]
    first, last = ({row["rule"]: row["relative"] for row in rows if row["batch"] == batch} for batch in (0, 8))
    assert first["eprop:adaptive"] == first["eprop:random"]
    assert last["eprop:adaptive"] != last["eprop:random"]
    counts = followed.histograms["eprop:random"]["all hidden"]
    hidden = [p for name, p in watched.params.items() if not name.startswith("readout.")]
    assert counts.sum() == 5 * sum(xp.to_numpy(p).size for p in hidden)


@pytest.mark.quick("torch")
def test_feedback_of_the_primary_reaches_all_or_stays_its_own(xp):
    x, y, mask = data()
    for synced in (True, False):
        primary = neko.Eprop(evaluator(xp), mode="adaptive", learning_rate=0.05)
        followed = neko.GradientComparison(primary, ["bptt", "eprop:random"], reference="bptt", sync_feedback=synced)
        neko.Trainer(followed).train(x, y, mask, epochs=3, progress=False)
        rows = {row["rule"]: row["relative"] for row in followed.records if row["tensor"] == "all hidden"}
        assert (rows["eprop:random"] == rows["eprop:adaptive"]) == synced
        assert rows["bptt"] == 0.0


def test_weight_changes_are_those_of_the_rules_own_updates():
    x, y, mask = data()
    model = evaluator("torch")
    sgd = functools.partial(neko.Eprop, optimizer="sgd", learning_rate=0.5)
    followed = neko.GradientComparison(neko.BPTT(model, optimizer="sgd", learning_rate=0.25), [sgd], changes=True)
    neko.Trainer(followed).train(x, y, mask, epochs=1, progress=False)
    ratio = {row["tensor"]: row["norm_ratio"] for row in followed.records if row["rule"] == "eprop:symmetric"}
    # the readout's gradient is the same in both rules, the rates differ by two
    assert ratio["readout.w_out"] == pytest.approx(2.0, rel=1e-4)


def test_the_numbers_are_written_as_csv(tmp_path):
    x, y, mask = data()
    followed = neko.GradientComparison(neko.BPTT(evaluator("torch")), ["eprop:symmetric"])
    neko.Trainer(followed).train(x, y, mask, epochs=2, progress=False)
    with followed.save(tmp_path / "deep" / "numbers.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(followed.records)
    assert float(rows[-1]["relative"]) == followed.records[-1]["relative"]


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        (lambda rule: neko.GradientComparison(rule, ["bptt"]), ValueError, "is the primary"),
        (lambda rule: neko.GradientComparison(rule, []), ValueError, "one or more"),
        (lambda rule: neko.GradientComparison(rule, ["eprop", "eprop:symmetric"]), ValueError, "different names"),
        (lambda rule: neko.GradientComparison(rule, "eprop"), TypeError, "expected a list"),
        (lambda rule: neko.GradientComparison(rule, ["eprop:mirror"]), ValueError, "'symmetric'"),
        (lambda rule: neko.GradientComparison(rule, ["bptt:random"]), ValueError, "expected 'bptt'"),
        (lambda rule: neko.GradientComparison(rule, ["hebb"]), ValueError, "'bptt'"),
        (lambda rule: neko.GradientComparison(rule, {"bptt": "eprop"}), ValueError, "name='another'"),
        (lambda rule: neko.GradientComparison(rule, {}), ValueError, "one or more"),
        (lambda rule: neko.GradientComparison(rule, {"": "eprop"}), TypeError, "name of a rule ''"),
        (lambda rule: neko.GradientComparison(rule, {3: "eprop"}), TypeError, "name of a rule 3"),
        (lambda rule: neko.GradientComparison(rule, ["eprop"], name=3), TypeError, "name of a rule 3"),
        (lambda rule: neko.GradientComparison(rule, [rule]), TypeError, "its name or class"),
        (lambda rule: neko.GradientComparison(rule, ["eprop"], every=0), ValueError, "every=0"),
        (lambda rule: neko.GradientComparison(rule, ["eprop"], reference="rtrl"), ValueError, "reference='rtrl'"),
    ],
)
def test_wrong_values_are_named(wrong, error, words):
    with pytest.raises(error, match=words):
        wrong(neko.BPTT(evaluator("torch")))


class Nonsense(neko.rules.BPTT):
    """The readout's gradient, and noise of the right size for every hidden weight."""

    def differentiate(self, params, feedback, batch, carry):
        result = super().differentiate(params, feedback, batch, carry)
        found = dict(result.gradients)
        rng = np.random.default_rng(0)
        for name, g in found.items():
            if not name.startswith("readout."):
                g = np.asarray(self.xp.to_numpy(g))
                found[name] = self.xp.asarray(rng.standard_normal(g.shape) * np.sqrt(np.mean(g * g)))
        return result._replace(gradients=found)


def test_what_all_rules_share_makes_none_look_right():
    """A rule that knows nothing scores nothing, though its readout's gradient is exact and the larger one."""
    x, y, mask = data()
    model = evaluator("torch")
    model.build(x)
    made = comparison.clones(model, ["bptt", Nonsense])
    exact, noise = (comparison.weights_only(rule, rule.gradients(x, y, mask)[1]) for rule in made.values())
    together = [np.concatenate([g.ravel() for g in side.values()]) for side in (noise, exact)]
    assert comparison.deviation(*together).cosine > 0.5, "all together, the readout would hide it"
    found = comparison.gradients(model, x, y, ["bptt", Nonsense], mask)["nonsense"]
    assert abs(found["all hidden"].cosine) < 0.3
    assert found["all readout"].cosine == pytest.approx(1.0)
    hidden = sorted(name for name in exact if not name.startswith("readout."))
    joined = [np.concatenate([side[name].ravel() for name in hidden]) for side in (noise, exact)]
    assert found["all hidden"].cosine == comparison.deviation(*joined).cosine
    followed = neko.GradientComparison(neko.BPTT(model), [Nonsense])
    neko.Trainer(followed).train(x, y, mask, progress=False)
    assert abs(followed.mean("cosine")["nonsense"]) < 0.3


def test_of_a_users_module_every_tensor_is_hidden():
    torch = pytest.importorskip("torch")
    module = torch.nn.Linear(6, 3)
    model = neko.Evaluator(module, loss="categorical_crossentropy")
    found = comparison.gradients(model, np.ones((4, 6)), np.eye(3)[[0, 1, 2, 0]], {"one": neko.BPTT, "two": neko.BPTT})
    assert set(found["two"]) == {"weight", "bias", "all hidden"}


def test_variants_of_one_rule_have_names_of_their_own():
    """Two truncations at one state, and two optimizers along one training, against what each gives alone."""
    x, y, mask = data()
    model = evaluator("torch")
    variants = {f"cut at {k}": functools.partial(neko.BPTT, truncation=k) for k in (20, 3)}
    found = comparison.gradients(model, x, y, {"whole": "bptt", **variants}, mask)
    assert list(found) == ["whole", "cut at 20", "cut at 3"]
    assert found["cut at 20"]["all hidden"].relative < 1e-6, "one piece is the whole"
    alone = {name: rule(model).gradients(x, y, mask)[1] for name, rule in {"whole": neko.BPTT, **variants}.items()}
    expected = comparison.deviation(*(np.asarray(alone[name]["layers.0.w_in"]) for name in ("cut at 3", "whole")))
    assert found["cut at 3"]["layers.0.w_in"].cosine == pytest.approx(expected.cosine, abs=1e-6)
    assert expected.cosine < 0.999

    rates = {"fast": 0.5, "slow": 0.125}
    others = {name: functools.partial(neko.BPTT, optimizer="sgd", learning_rate=rate) for name, rate in rates.items()}
    primary = neko.BPTT(model, optimizer="sgd", learning_rate=0.25)
    followed = neko.GradientComparison(primary, others, name="middle", reference="middle", changes=True)
    neko.Trainer(followed).train(x, y, mask, epochs=1, progress=False)
    ratio = followed.mean("norm_ratio")
    assert ratio == pytest.approx({"middle": 1.0, "fast": 2.0, "slow": 0.5}, rel=1e-3)
    panels = [axes.get_title() for axes in plots.comparison(followed).axes]
    assert panels[:4] == ["layers.0.w_in", "layers.0.w_rec", "readout.b_out", "readout.w_out"], "where they differ"


def test_the_figure_has_a_panel_for_each_hidden_kind_of_weight():
    x, y, mask = data()
    model = neko.Evaluator(neko.LIF([10, 7], 3, "torch", tau_m=20.0, v_th=1.0, seed=2), loss="categorical_crossentropy")
    followed = neko.GradientComparison(neko.BPTT(model), ["eprop:symmetric", "eprop:random"])
    neko.Trainer(followed).train(x, y, mask, epochs=2, progress=False)
    figure = plots.comparison(followed)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == [f"layers.{layer}.{kind}" for layer in (0, 1) for kind in ("w_in", "w_rec")]
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()][::4] == ["< -4", "> 4"]
    assert len(figure.axes[4].lines) == 2, "the two rules, and not the reference"


class Stop(neko.callbacks.Callback):
    """Ctrl-C during the batch of a number."""

    order = 3

    def __init__(self, batch):
        self.at = batch

    def batch(self, loop):
        loop.interrupt.wanted = loop.batch == self.at


@pytest.mark.parametrize("changes", [False, True])
def test_a_comparison_stops_after_a_batch_and_goes_on(changes, tmp_path):
    """What was compared is there at once, and a run that goes on has the records of one that never stopped."""
    x, y, mask = data()

    def followed():
        primary = neko.Eprop(evaluator("torch"), mode="adaptive")
        return neko.GradientComparison(primary, ["bptt", "eprop:random"], every=2, changes=changes)

    def train(comparison, *callbacks):
        return neko.Trainer(comparison).train(x, y, mask, epochs=2, batch_size=2, callbacks=callbacks, progress=False)

    whole, first, second = followed(), followed(), followed()
    history = train(whole, neko.Checkpoints(tmp_path / "whole"), Stop(99))
    with pytest.raises(KeyboardInterrupt):
        train(first, neko.Checkpoints(tmp_path / "part"), Stop(3))
    assert first.batches == 3
    assert {row["batch"] for row in first.records} == {0, 2}
    assert train(second, neko.Checkpoints(tmp_path / "part", resume=True), Stop(99)) == history
    assert second.records == whole.records
    assert len({row["variance"] for row in whole.records if row["rule"] == "bptt"}) > 10
    assert second.statistics.activity == whole.statistics.activity
    for kept in ("histograms", "previous"):
        for rule in ("eprop:adaptive", "bptt", "eprop:random"):
            for name, array in getattr(whole.statistics, kept)[rule].items():
                assert np.array_equal(getattr(second.statistics, kept)[rule][name], array)
    for name, pairs in whole.statistics.cosines.items():
        assert np.array_equal(second.statistics.cosines[name], pairs)


def test_a_comparison_of_before_is_not_gone_on_with():
    x, y, mask = data()
    followed = neko.GradientComparison(neko.BPTT(evaluator("torch")), ["eprop"])
    neko.Trainer(followed).train(x, y, mask, epochs=1, progress=False)
    batches = [followed.model.examples(x, y, mask)]
    saved = followed.exported()
    followed.load(saved, batches)
    del saved["statistics"]
    with pytest.raises(neko.errors.CheckpointError, match="by an older neko"):
        followed.load(saved, batches)


def test_a_comparison_is_not_gone_on_with_as_another(tmp_path):
    x, y, mask = data()

    def train(epochs, others, **options):
        followed = neko.GradientComparison(neko.BPTT(evaluator("torch")), others, **options)
        keep = neko.Checkpoints(tmp_path, resume=True)
        neko.Trainer(followed).train(x, y, mask, epochs=epochs, callbacks=[keep], progress=False)

    train(1, {"short": "eprop"})
    for others, options in (
        ({"other": "eprop"}, {}),
        ({"short": "bptt"}, {}),
        ({"short": "eprop"}, {"name": "first"}),
        ({"short": "eprop"}, {"every": 2}),
        ({"short": "eprop"}, {"changes": True}),
        ({"short": "eprop"}, {"sync_feedback": False}),
        ({"short": "eprop"}, {"reference": "short"}),
    ):
        with pytest.raises(neko.errors.CheckpointError, match="was written with"):
            train(2, others, **options)
    train(2, {"short": "eprop"})
