"""The table of rules: its rows, budget, controls and flags, and what its texts and page say of given numbers."""

from __future__ import annotations

import numpy as np
import pytest

import neko
import rule_table_page
from neko import datasets, rules
from neko.experiments import Results, Trial, report
from neko.experiments.rule_table import by_neuron, claims, drawing, measuring
from neko.experiments.rule_table.browsing import browsed, numbers
from neko.experiments.rule_table.cells import LINEAR, READOUT, SHUFFLED, Cell, Line, lines, tabled
from neko.experiments.rule_table.contenders import EXACT, UNTRAINED, Contender, contenders, network, refusal
from neko.experiments.rule_table.experiment import Rules
from neko.experiments.rule_table.frozen import ReadoutOnly
from neko.experiments.rule_table.linear import linear
from neko.experiments.rule_table.shuffled import without_relation
from neko.experiments.rule_table.tasks import TASKS, Data, Part, Task, recorded
from neko.experiments.rule_table.turns import Turns
from neko.io import files
from neko.training.costs import peak

import browser

SETTINGS = {"updates": 24, "batch": 8, "comparisons": 3}
WORD = Task("word", "the class is which input is on", lambda seed: None, 2)
CURVE = Task("curve", "the input's average over 20 steps", lambda seed: None, 0)


def word(seed=0, examples=24):
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=examples)
    x = np.repeat(np.eye(2)[y][:, None], 6, axis=1).astype(np.float32)
    part = Part(x, y, None)
    return Data(part, part, part, 2)


def curve(examples=20, steps=30):
    x = np.random.default_rng(1).normal(size=(examples, steps, 1))
    y = np.zeros_like(x)
    for t in range(steps):
        y[:, t] = np.exp(-1 / 20) * (y[:, t - 1] if t else 0.0) + (1.0 - np.exp(-1 / 20)) * x[:, t]
    part = Part(x, y, None)
    return Data(part, part, part, 1)


def trained(rule, data=None, task=WORD, rates=(1e-9, 0.1)):
    data = word() if data is None else data
    model = network("ALIF", task, 6, data.outputs, "torch", 0)
    found = measuring.trained(Contender(rule), model, task, data, SETTINGS | {"learning rates": rates}, 0)
    return found, model


def test_every_rule_of_the_registry_is_in_the_table_once_in_each_mode():
    found = [contender.rule for contender in contenders() if contender.optimizer == "adam"]
    modes = [name for name in rules.names() if ":" in name or not rules.RULES.about(name).get("modes")]
    assert sorted(found) == sorted(modes)
    assert found[0] == EXACT
    assert {name.partition(":")[0] for name in found} == set(rules.RULES)
    assert [c.name for c in contenders() if c.optimizer != "adam"] == ["bptt, RMSprop", "sltt:symmetric, RMSprop"]


def test_an_empty_cell_has_the_reason():
    copy = TASKS["copy"]
    assert refusal(Contender(EXACT), "GRU", copy, "torch") is None
    assert refusal(Contender("stdp"), "LIF", copy, "torch") is None
    assert "expected spiking cells" in refusal(Contender("stdp"), "RNN", copy, "torch")
    assert refusal(Contender("rtrl"), "LIF", copy, "torch") == UNTRAINED["rtrl"]
    assert refusal(Contender("reward_stdp"), "LIF", TASKS["chaotic"], "torch") is None
    assert "is its own reward" in refusal(Contender("reward_stdp"), "LIF", TASKS["pattern"], "torch")
    for task in TASKS.values():
        assert (task.sequences == 1) == (task.name == "pattern")


@pytest.mark.parametrize("name", ["store-recall", "copy", "evidence", "pattern", "chaotic"])
def test_a_task_has_three_parts_that_share_no_example(name):
    """But for the 64 words to be copied, which are all in each part, and the one pattern."""
    task = TASKS[name]
    data, again = task.data(3), task.data(3)
    np.testing.assert_array_equal(data.train.x, again.train.x)
    assert len(data.validation.x) == (task.validation or len(data.train.x))
    if name not in ("copy", "pattern"):
        parts = [{row.tobytes() for row in part.x} for part in data[:3]]
        assert sum(map(len, parts)) == len(set.union(*parts))
    assert data.train.x.shape[1] <= 150
    assert data.outputs == (task.classes or 1)
    assert linear(task, data)["constant"] == pytest.approx(task.chance, abs=0.1)


def test_labels_and_masks_stay_with_their_examples(monkeypatch):
    i = np.arange(40.0)
    parts = (i[:, None, None] * np.ones((40, 3, 1)), i, i[:, None] * np.ones((40, 3)))
    whole = datasets.Dataset(*parts[:2], *parts[:2], 40, parts[2], parts[2])
    monkeypatch.setattr(datasets, "load", lambda name: whole)
    found = recorded.__wrapped__("any", 30, 10)
    assert (len(found.x_train), len(found.x_test)) == (30, 10)
    for x, y, mask in ((found.x_train, found.y_train, found.mask_train), (found.x_test, found.y_test, found.mask_test)):
        np.testing.assert_array_equal(x[:, 0, 0], y)
        np.testing.assert_array_equal(x[:, :, 0], mask)
        assert len(set(y)) == len(y)
        assert list(y) != sorted(y)


def test_rates_come_in_turn_and_fall_to_zero():
    rate = Turns((0.1, 0.4), 10)
    assert (rate(0), rate(10)) == (0.1, 0.4)
    assert rate(5) == pytest.approx(0.05)
    assert rate(9) < 0.01
    assert rate(19) < 0.04


def test_a_linear_readout_knows_averages_and_nothing_of_other_sequences():
    assert linear(CURVE, curve())["error"] < 0.01
    other = curve()
    other = other._replace(train=other.train._replace(y=np.roll(other.train.y, 1, axis=0)))
    assert linear(CURVE, other)["error"] > 0.8
    assert linear(WORD, word())["accuracy"] == 1.0


def test_shuffled_targets_tell_nothing_and_those_to_test_are_true():
    data = TASKS["store-recall"].data(0)
    found = without_relation(TASKS["store-recall"], data, 0)
    shift = (found.train.y - data.train.y) % 2
    assert (shift == shift[:, :1]).all()
    # Binomial with 2,000 draws: more than 5.5 standard deviations from a half has a probability of 4e-8.
    assert abs(shift[:, 0].mean() - 0.5) < 5.5 * 0.5 / np.sqrt(len(shift))
    assert found.test is data.test
    moved = without_relation(CURVE, curve(), 0).train
    turned, own = (
        sorted(np.roll(row, -row.argmin()).tobytes() for row in y[..., 0]) for y in (moved.y, curve().train.y)
    )
    assert turned == own
    assert not np.array_equal(moved.y, curve().train.y)


def test_shuffled_targets_do_not_share_the_phase_of_their_inputs():
    """The correlation of a turned sine is the cosine of a random phase, of variance 1/2. A mean of 400 more than 5.5
    standard deviations from 0 has a probability of 4e-8; targets that are not turned have 1."""
    wave = np.tile(np.sin(2.0 * np.pi * np.arange(100) / 50.0)[None, :, None], (400, 1, 1))
    part = Part(wave, wave, None)
    moved = without_relation(CURVE, Data(part, part, part, 1), 0).train
    assert abs(np.corrcoef(moved.x.ravel(), moved.y.ravel())[0, 1]) < 5.5 / np.sqrt(2 * 400)


def test_the_best_rate_on_the_validation_is_the_one_that_is_tested():
    found, model = trained(EXACT)
    assert found["learning rate"] == 0.1
    assert found["accuracy"] == model.evaluate(*word().test)["accuracy"] == 1.0
    assert [found["first cosine"], found["last cosine"]] == pytest.approx([1.0, 1.0])
    frozen, still = trained(ReadoutOnly)
    start = network("ALIF", WORD, 6, 2, "torch", 0)
    start.build(word().train.x)
    for name in ("layers.0.w_in", "layers.0.w_rec"):
        np.testing.assert_array_equal(still.params[name], start.params[name])
        assert not np.array_equal(model.params[name], start.params[name])
    assert not np.array_equal(still.params["readout.w_out"], start.params["readout.w_out"])
    assert "cosine" not in frozen
    random, _ = trained("eprop:random")
    assert random["cosine"] < 0.9
    assert random["signal"] > 0.0
    assert "signal" not in found


def test_rates_that_diverge_are_left_out():
    assert trained(EXACT, curve(), task=CURVE, rates=[1e36])[0] == {"diverged": 1.0}
    assert trained(EXACT, curve(), task=CURVE, rates=[1e36, 1e-3])[0]["learning rate"] == 1e-3


@pytest.mark.parametrize(("scale", "flag"), [(1e-6, "silent"), (1e3, "saturated"), (0.3, None)])
def test_silent_and_saturated_networks_are_flagged(scale, flag):
    model = neko.Evaluator(neko.LIF(30, 2, "torch", recurrent=False), loss="sparse_categorical_crossentropy")
    x = np.random.default_rng(0).random((20, 10, 3)).astype(np.float32)
    model.build(x)
    model.params = {n: model.xp.abs(p) if n.endswith("w_in") else p for n, p in model.params.items()}
    found = measuring.activity(model, Part(x * np.float32(scale), np.zeros(20, int), None))
    assert {name for name in ("silent", "saturated") if found[name]} == ({flag} if flag else set())


def test_the_memory_of_a_call_is_seen():
    size = 64
    found = peak(lambda: np.ones(size << 17).sum())
    if found is None:
        pytest.skip("no counters of Linux")
    assert 0.95 * size < found < 1.5 * size
    assert peak(lambda: None) < 0.1 * size


CELLS = {
    cell.row: cell
    for cell in (
        Cell("copy", "", LINEAR),
        Cell("copy", "LIF", READOUT, Contender(ReadoutOnly)),
        Cell("copy", "LIF", SHUFFLED, Contender(EXACT)),
        *(
            Cell("copy", "LIF", c.name, c, "no reason" if c.rule == "rtrl" else None)
            for c in (
                Contender(EXACT),
                *(Contender(f"eprop:{mode}") for mode in ("symmetric", "random", "adaptive")),
                Contender("rtrl"),
                Contender(EXACT, "rmsprop"),
                Contender("sltt:symmetric", "rmsprop"),
            )
        ),
        Cell("mnist", "LIF", "stdp", Contender("stdp"), "another task"),
    )
}
SCORES = {
    "copy, no network": 0.5,
    f"copy, LIF, {READOUT}": 0.30,
    f"copy, LIF, {SHUFFLED}": 0.26,
    "copy, LIF, bptt": 0.85,
    "copy, LIF, eprop:symmetric": 0.70,
    "copy, LIF, eprop:random": 0.55,
    "copy, LIF, eprop:adaptive": 0.60,
    "copy, LIF, bptt, RMSprop": 0.80,
    "copy, LIF, sltt:symmetric, RMSprop": 0.65,
}


@pytest.fixture
def results():
    """Made-up measures of two seeds: a rule's cosine is its accuracy; random e-prop was silent for one seed."""
    found = []
    for row, score in SCORES.items():
        for seed in range(2):
            own = {"accuracy": score + 0.02 * seed, "seconds": 5.0}
            if row.count(", ") > 1:
                own |= {"cosine": score, "milliseconds": 3.0, "silent": float(seed and row.endswith("random"))}
            if "eprop" in row:
                own["signal"] = 4e-3 if row.endswith("random") else 1e-3
            found.append((Trial(row, seed), own))
    return Results(found)


def test_the_lines_are_those_of_the_results_and_what_is_refused_beside_them(results):
    found = lines(results, CELLS)
    assert [line.cell.row for line in found] == [row for row in CELLS if row != "mnist, LIF, stdp"]
    table = {rule: i for i, rule in enumerate(tabled(found).rows)}
    shown = {column.title: column.shown() for column in tabled(found).columns}
    assert shown["accuracy"][table["eprop:symmetric"]].startswith("0.710 ± 0.127")  # 12.706 · 0.02 / √2 / √2
    assert shown["flags"][table["eprop:random"]] == "silent in 1 of 2"
    assert shown["why not"][table["rtrl"]] == "no reason"
    assert shown["cosine"][table["rtrl"]] == "–"
    assert found[table[EXACT]].gain == pytest.approx([(0.85 - 0.25) / 0.75, (0.87 - 0.25) / 0.75])


def test_the_report_has_rules_by_tasks_with_reasons_below(results):
    text = by_neuron.shown(lines(results, CELLS))
    assert "### LIF" in text
    table = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    rows = {rule: cells for rule, *cells in table}
    assert rows["rule"] == ["copy", "mean gain", "ms a step", "MiB"]
    assert rows["eprop:random"] == ["0.560 ± 0.127 (0.55) silent in 1 of 2", "0.41", "3.0", "–"]  # (0.56 - 0.25) / 0.75
    assert rows[LINEAR] == ["0.510 ± 0.127", "0.35", "–", "–"]
    assert "rtrl" not in rows
    assert "- rtrl: no reason." in text


def test_the_figure_shows_rules_that_have_every_task(results):
    own = [line for line in lines(results, CELLS) if line.cell.by_adam and len(line.score)]
    modes = [f"eprop:{mode}" for mode in ("symmetric", "random", "adaptive")]
    assert list(drawing.of_all_tasks(own)) == [("LIF", rule) for rule in (EXACT, *modes)]
    more = Line(Cell("mnist", "LIF", EXACT, Contender(EXACT)), {"accuracy": np.array([0.9])})
    assert list(drawing.of_all_tasks([*own, more])) == [("LIF", EXACT)]
    assert drawing.figures([line for line in lines(results, CELLS) if line.cell.rule == LINEAR]) == {}


def test_the_page_of_the_site_has_the_numbers_of_the_results(results, tmp_path):
    path = files.write_table(tmp_path / "numbers.csv", report.COLUMNS, report.numbers(results))
    again = rule_table_page.results(path)
    assert numbers(lines(again, CELLS), "about") == numbers(lines(results, CELLS), "about")


def test_the_notes_say_what_holds(results):
    text = claims.told(lines(results, CELLS), results, 36)
    assert "the symmetric one has the largest mean cosine in 1 of 1 pairs of task and neuron, and of all rules" in text
    assert "of all rules but BPTT in 1." in text
    assert "Adaptive e-prop deviates more than random, by cosine, in 0 of 1." in text
    assert "SLTT with RMSprop less that of BPTT with RMSprop is -0.200 on average of 1 pairs" in text
    assert "**Alignment and what is learnt**: the rank correlation" in text
    assert "is 1.00 on average" in text
    assert "with shuffled targets the gain over guessing is 0.03 and nowhere above 0.25" in text
    assert "differ by a factor of 4.0 at most (copy, LIF: from eprop:symmetric to eprop:random)" in text
    assert "1 cells have networks that are silent" in text
    assert "18 of the table's 36 trials are shown. At their mean of 5 s" in text


def test_a_control_that_fails_is_told(results):
    for trial, measures in results:
        if trial.row == f"copy, LIF, {SHUFFLED}":
            measures["accuracy"] = 0.5
        if trial.row == f"copy, LIF, {READOUT}":
            measures["accuracy"] = 0.84
    text = claims.told(lines(results, CELLS), results, 36)
    assert "is 0.33 and at most 0.25 but for copy, LIF;" in text
    assert "over its readout alone but for copy, LIF, where" in text
    assert "rules that reach less than the readout alone: 3 on copy, LIF" in text


def test_the_page_sorts_filters_and_searches(results, tmp_path):
    pytest.importorskip("plotly")
    found = lines(results, CELLS)
    expected = numbers(found, "about")
    (tmp_path / "page.html").write_bytes(browsed(found, "about")["table"])
    script = """return [...document.getElementById('cells').tBodies[0].rows].map(
        (row) => [...row.cells].map((cell) => cell.dataset.value))"""
    with browser.chromium() as page:
        page.get((tmp_path / "page.html").as_uri())

        def column(name):
            return [row[expected["columns"].index(name)] for row in page.execute_script(script)]

        assert column("accuracy") == ["" if r["accuracy"] is None else repr(r["accuracy"]) for r in expected["rows"]]
        page.find_element("css selector", "#cells th[data-column='accuracy'] button").click()
        values = [float(value) for value in column("accuracy") if value]
        assert values == sorted(values)
        assert len(values) == len(SCORES)
        page.find_element("id", "search").send_keys("eprop rand")
        assert column("rule") == ["eprop:random"]
        drawn = page.execute_script("return document.getElementById('alignment').data.map((d) => [d.name, d.x, d.y])")
        gain = [float(line.gain.mean()) for line in found if line.cell.rule == "eprop:random"]
        assert drawn == [["eprop:random", [0.55], gain]]
        page.find_element("id", "search").clear()
        page.find_element("css selector", "#rule option[value='rtrl']").click()
        assert column("why not") == ["no reason"]
        assert browser.complaints(page) == []


def test_the_whole_table_is_every_task_by_every_neuron():
    quick = Rules(quick=True, backend="torch")
    assert {(cell.task, cell.neuron) for cell in quick.cells.values()} >= {("copy", "ALIF"), ("pattern", "RNN")}
    assert all(cell.refused is None for cell in quick.cells.values())
    assert len({trial.key for trial in quick.trials()}) == len(quick.trials()) == len(quick.cells)
