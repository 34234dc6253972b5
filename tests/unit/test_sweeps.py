"""Sweeps: what a file means, which settings are tried, what is run, kept and refused, and what is told of it."""

from __future__ import annotations

import csv
import dataclasses
import math
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from neko import backend as backends
from neko import plots, runs, sweeps
from neko.cli import app
from neko.errors import NonFiniteError
from neko.sweeps import processes, search, sweep, table
from neko.sweeps.plan import KEYS, seeds_of
from neko.sweeps.space import Range
from neko.sweeps.trial import Outcome, Trial, failed, name_of, outcome_of, perform, record

import few_digits

if not backends.installed():
    pytest.skip("no framework is installed", allow_module_level=True)
SMALL = {"data": few_digits.DATA, "cell": "lif", "hidden": 6, "epochs": 2, "backend": backends.installed()[0]}


def plan(**content):
    fixed = {name: value for name, value in SMALL.items() if name not in content.get("vary", {})}
    return sweeps.plan_of({"options": fixed, **content})


def words(result):
    return " ".join(result.output.split())


class Here:
    """An engine that runs a trial in this process when it is waited for."""

    def __init__(self, count, threads):
        self.count, self.running, self.ran = count or 1, [], []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    @property
    def free(self):
        return len(self.running) < self.count

    def submit(self, trial):
        self.running.append(trial)

    def next(self):
        trial = self.running.pop(0)
        RAN.append(trial.name)
        return trial, self.perform(trial)

    def perform(self, trial):
        return perform(trial)


RAN: list[str] = []


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.setitem(sweep.ENGINES, "here", Here)
    RAN.clear()


def go(content, folder, **options):
    return sweeps.Sweep(content, folder).go(engine="here", progress=False, **options)


# What a file means


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("maximize: val_loss", "did you mean 'maximise'?"),
        ("vary: {lerning_rate: [1]}", "did you mean 'learning_rate'?"),
        ("options: {hiden: 3}", "did you mean 'hidden'?"),
        ("command: trian", "expected one of ('train', 'sample', 'compare')"),
        ("search: gird", "expected one of ('grid', 'random', 'tpe')"),
        ("seeds: 5:10", "expected '0:10' in quotes"),
        ("seeds: [1, 1]", "each once"),
        ("seeds: '3:3'", "one seed at least"),
        ("options: {seed: 3}", "expected seeds: 0:10"),
        ("{command: compare, options: {report: a.html}}", "every trial would write the same file"),
        ("{options: {hidden: 3}, vary: {hidden: [4]}}", "expected one of both"),
        ("vary: {hidden: 4}", "expected a list of values, or {from: 1, to: 9}"),
        ("vary: {hidden: [0]}", "hidden=0: expected a positive integer"),
        ("vary: {rule: {from: 1, to: 2}}", "rule is no number"),
        ("vary: {hidden: {from: 1}}", "expected also to"),
        ("vary: {hidden: {from: 1, too: 2}}", "did you mean 'to'?"),
        ("vary: {hidden: {from: 2, to: 1}}", "expected from < to"),
        ("vary: {learning_rate: {from: 0, to: 1, scale: log, steps: 3}}", "above 0"),
        ("vary: {learning_rate: {from: 1, to: 2}}", "a grid expects also steps"),
        ("{vary: {hidden: [1]}, trials: 3}", "a grid has all combinations"),
        ("{vary: {hidden: [1]}, search: random}", "expected a number of settings"),
        ("{search: random, trials: 3}", "expected options to vary"),
        ("{vary: {hidden: [1]}, search: tpe, trials: 3}", "expected maximise or minimise"),
        ("{maximise: a, minimise: b}", "expected one of both"),
        ("maximise: 3", "expected a measure of the history"),
        ("[1]", "expected keys with values"),
        ("vary: [rule]", "expected names with values"),
        ("options: [", "is no YAML"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_the_remedy(text, right, tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=re.escape(right)) as caught:
        sweeps.read_plan(path)
    assert str(path) in str(caught.value)


def test_numbers_are_of_the_type_of_their_option():
    """YAML reads 1e-3 as a string; both forms are one number."""
    found = sweeps.plan_of(yaml.safe_load("vary: {learning_rate: [1e-3, 0.01], hidden: [4], patience: [null, 3]}"))
    assert [values.points() for values in found.vary.values()] == [[0.001, 0.01], [4], [None, 3]]
    assert sweeps.plan_of(found.plain()) == found
    assert seeds_of("2:5") == (2, 3, 4)


@pytest.mark.parametrize(
    ("values", "points"),
    [
        (Range(1e-4, 1e-1, "log", 4), [1e-4, 1e-3, 1e-2, 1e-1]),
        (Range(0.0, 1.0, steps=5), [0.0, 0.25, 0.5, 0.75, 1.0]),
        (Range(2, 5, whole=True), [2, 3, 4, 5]),
        (Range(16, 256, "log", 5, whole=True), [16, 32, 64, 128, 256]),
    ],
)
def test_points_and_draws_of_a_range(values, points):
    assert values.points() == points
    rng = np.random.default_rng(0)
    draws = [values.draw(rng) for _ in range(500)]
    assert min(draws) >= values.low
    assert max(draws) <= values.high
    assert {type(draw) for draw in draws} == {int if values.whole else float}
    middle = math.sqrt(values.low * values.high) if values.scale == "log" else (values.low + values.high) / 2
    below = sum(draw < middle for draw in draws)
    assert 150 < below < 350, "half of them; four deviations of a coin are 45"


def test_different_values_have_different_names():
    found = [{"rule": rule, "cell": cell} for rule in ("a:b", "a-b", "a b") for cell in ("lif", "lif,", "x" * 200)]
    names = {name_of(values, seed) for values in found for seed in (0, 1)}
    assert len(names) == 18
    assert all(re.fullmatch(r"[\w.=,+-]{1,130}", name) for name in names)


# Which settings are tried


def test_a_grid_has_all_combinations():
    found = search.grid(plan(vary={"rule": ["eprop", "bptt"], "hidden": {"from": 4, "to": 6}})).settings({})
    assert found == [{"rule": r, "hidden": h} for r in ("eprop", "bptt") for h in (4, 5, 6)]
    assert search.grid(plan(seeds="0:3")).settings({}) == [{}], "seeds alone"


def test_more_draws_begin_with_the_same_ones():
    vary = {"learning_rate": {"from": 1e-4, "to": 1e-1, "scale": "log"}, "rule": ["eprop", "bptt"]}

    def drawn(trials, seed=0, vary=vary):
        return search.random(plan(vary=vary, search="random", trials=trials, search_seed=seed)).settings({})

    assert drawn(9)[:4] == drawn(4)
    assert drawn(4, seed=1) != drawn(4)
    assert sorted(s["hidden"] for s in drawn(20, vary={"hidden": [2, 3, 4]})) == [2, 3, 4], "each once"


TUNED = {
    "vary": {"learning_rate": {"from": 1e-4, "to": 1.0, "scale": "log"}, "hidden": {"from": 1, "to": 64}},
    "search": "tpe",
    "trials": 30,
    "minimise": "val_loss",
}


def loss(values):
    """Least at a rate of 0.01."""
    return math.log10(values["learning_rate"] / 0.01) ** 2 + 0.001 * values["hidden"]


def tuned(order, content=TUNED):
    """The proposals where results come in some order."""
    found, results = search.SEARCHES["tpe"](plan(**content)), {}
    while len(results) < content["trials"]:
        known = found.settings(results)
        waiting = [i for i in range(len(known)) if i not in results]
        i = order(waiting)
        results[i] = None if i == 3 else loss(known[i])
    return known


def test_proposals_depend_on_results_and_not_on_what_ends_first():
    pytest.importorskip("optuna")
    rng = random.Random(0)
    first = tuned(min)
    assert tuned(rng.choice) == first, "also where a later one ends before"
    assert tuned(min, {**TUNED, "trials": 20}) == first[:20], "more trials go on"
    assert tuned(min, {**TUNED, "search_seed": 1}) != first
    ten = [[loss(values) for values in part] for part in (first[:10], first[20:])]
    assert np.median(ten[1]) < 0.5 * np.median(ten[0]), "it learns from the results"


def test_a_proposal_waits_for_what_it_is_made_of():
    pytest.importorskip("optuna")
    found = search.SEARCHES["tpe"](plan(**TUNED, ahead=3))
    assert len(found.settings({})) == 3
    assert len(found.settings({1: 0.5})) == 3
    assert len(found.settings({1: 0.5, 0: 0.5})) == 5


# What is run, kept and refused

GRID = {"vary": {"rule": ["bptt", "eprop:random"]}, "seeds": "0:2"}


def test_every_trial_is_the_run_that_the_command_would_make(tmp_path):
    found = go(plan(**GRID), tmp_path)
    assert len(RAN) == 4
    for setting in found.settings:
        trial, outcome = setting.trials[1], setting.outcomes[1]
        alone = tmp_path / "alone" / trial.name
        history = runs.run(trial.config, alone, progress=False).history
        assert (trial.folder / "history.csv").read_bytes() == (alone / "history.csv").read_bytes()
        assert outcome.measures == {name: values[-1] for name, values in history.items()}
    first = (tmp_path / "sweep.csv").read_bytes()
    again = go(plan(**GRID), tmp_path)
    assert len(RAN) == 4, "what is done is not repeated"
    assert (tmp_path / "sweep.csv").read_bytes() == first
    assert again.ranked()[0].values == found.ranked()[0].values
    more = go(plan(**{**GRID, "seeds": [0, 1, 5]}), tmp_path)
    assert RAN[4:] == [name_of({"rule": rule}, 5) for rule in ("bptt", "eprop:random")]
    assert [len(setting.done) for setting in more.settings] == [3, 3]
    assert (tmp_path / sweep.FIGURE).stat().st_size > 1000


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"options": {**SMALL, "epochs": 3}}, "options.epochs=2 there, 3 here"),
        ({"options": {"data": few_digits.DATA}}, "options.hidden=6 there, None here"),
        ({"vary": {"rule": ["bptt"]}}, r"vary.rule=\['bptt', 'eprop:random'\] there, \['bptt'\] here"),
        ({"vary": {}}, r"vary=\['rule'\] there, \[\] here"),
        ({"seeds": [0]}, r"seeds=\[0, 1\] there, \[0\] here"),
        ({"search": "random", "trials": 2}, "search='grid' there, 'random' here"),
        ({"command": "compare"}, "command='train' there, 'compare' here"),
    ],
)
def test_a_folder_of_another_sweep_is_refused_by_what_differs(changed, words, tmp_path):
    sweeps.Sweep(plan(**GRID), tmp_path).prepare()
    vary = {} if changed.get("command") != "compare" else {"vary": {"rules": ["bptt"]}}
    with pytest.raises(ValueError, match=words):
        go(plan(**{**GRID, **changed, **vary}), tmp_path)
    assert not RAN


def test_trials_may_become_more_and_not_fewer_and_seeds_of_tpe_stay(tmp_path):
    pytest.importorskip("optuna")
    drawn = {"vary": {"hidden": [2, 3, 4]}, "search": "random", "trials": 2}
    sweeps.Sweep(plan(**drawn), tmp_path / "a").prepare()
    sweeps.Sweep(plan(**drawn).changed("0:3", 3), tmp_path / "a").prepare()
    with pytest.raises(ValueError, match="trials=3 there, 2 here"):
        sweeps.Sweep(plan(**drawn).changed("0:3", None), tmp_path / "a").prepare()
    sweeps.Sweep(plan(**TUNED), tmp_path / "b").prepare()
    for other, told in (({"seeds": "0:2"}, r"seeds=\[0\] there"), ({"minimise": "loss"}, "minimise='val_loss' there")):
        with pytest.raises(ValueError, match=told):
            sweeps.Sweep(plan(**{**TUNED, **other}), tmp_path / "b").prepare()
    runs.write_config(runs.TrainConfig(), tmp_path / "c")
    with pytest.raises(ValueError, match="holds a run"):
        sweeps.Sweep(plan(**drawn), tmp_path / "c").prepare()


class Told(Here):
    """An engine that is told the outcomes; the numbers of `broken` rules overflow."""

    broken = ()

    def perform(self, trial):
        if trial.values["rule"] in self.broken:
            return failed(trial, NonFiniteError(3, "loss", "lower the rate"))
        return record(trial.folder, Outcome("done", {"val_loss": 0.5 + trial.seed, "val_accuracy": 0.9}))


def test_a_trial_that_fails_is_told_and_tried_again_at_the_next_start(tmp_path, monkeypatch):
    monkeypatch.setitem(sweep.ENGINES, "here", Told)
    monkeypatch.setattr(Told, "broken", ("bptt",))
    whole = sweeps.Sweep(plan(**GRID, minimise="val_loss"), tmp_path)
    found = whole.go(engine="here", progress=False)
    assert [setting.values["rule"] for setting in found.ranked()] == ["eprop:random", "bptt"]
    assert [(trial.seed, error) for trial, error in found.failed] == [
        (seed, "NonFiniteError: step 3: loss is not finite; lower the rate") for seed in (0, 1)
    ]
    with (tmp_path / "sweep.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == ["failed", "failed", "done", "done"]
    assert [row["val_loss"] for row in rows] == ["", "", "0.5", "1.5"]
    assert rows[0]["error"].startswith("NonFiniteError")
    monkeypatch.setattr(Told, "broken", ())
    RAN.clear()
    assert not whole.go(engine="here", progress=False).failed
    assert [name_of({"rule": "bptt"}, seed) for seed in (0, 1)] == RAN


def test_a_measure_that_no_trial_has_ends_the_sweep_after_the_first(tmp_path, monkeypatch):
    monkeypatch.setitem(sweep.ENGINES, "here", Told)
    with pytest.raises(ValueError, match=r"measure 'val_acuracy': expected one of .*did you mean 'val_accuracy'"):
        go(plan(**GRID, maximise="val_acuracy"), tmp_path)
    assert len(RAN) == 1
    go(plan(**GRID, maximise="val_accuracy"), tmp_path)
    assert len(RAN) == 4, "a grid's trials do not depend on the measure"


def test_a_trial_that_was_stopped_goes_on_from_its_checkpoint(tmp_path):
    """Also one that was killed between its last epoch and the word that it is done."""
    (trial,) = sweeps.Sweep(plan(options={**SMALL, "epochs": 3}), tmp_path).trials({})
    runs.run(dataclasses.replace(trial.config, epochs=2), trial.folder, progress=False)
    checkpoints = trial.folder / "checkpoints"
    before = {path.name for path in checkpoints.iterdir()}
    outcome = perform(trial)
    assert outcome.state == "done"
    assert before < {path.name for path in checkpoints.iterdir()}
    runs.run(trial.config, tmp_path / "whole", progress=False)
    history = (tmp_path / "whole" / "history.csv").read_bytes()
    assert (trial.folder / "history.csv").read_bytes() == history
    (trial.folder / "trial.json").unlink()
    assert perform(trial).measures == outcome.measures
    (trial.folder / "trial.json").write_text("{")
    with pytest.raises(ValueError, match="is damaged"):
        outcome_of(trial.folder)


HOSTILE = """
import os

def end():
    os._exit(7)

def fail():
    raise ArithmeticError("no data today")

def late():
    raise ArithmeticError(f"with {os.environ['OMP_NUM_THREADS']} thread")
"""


@pytest.mark.slow
def test_neither_an_error_nor_the_end_of_a_process_ends_a_sweep(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    Path("hostile.py").write_text(HOSTILE)
    data = [f"hostile.py:{name}" for name in ("fail", "end", "late")]
    Path("run.yaml").write_text(yaml.safe_dump({"vary": {"data": data}}))
    result = CliRunner().invoke(app, ["sweep", "run.yaml", "--workers", "1"])
    assert result.exit_code == 1, result.output
    with Path("runs/run/sweep.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == ["failed"] * 3
    for row, error in zip(rows, ("ArithmeticError: no data today", "exit code 7", "with 1 thread"), strict=True):
        assert error in row["error"]
        assert f"Failed: {row['trial']}: {row['error']}" in words(result)


def test_the_page_shows_files_that_are_right():
    """Every YAML of the page is a plan, and its table has every key."""
    page = (Path(__file__).parents[2] / "docs" / "sweeps.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```yaml\n(.*?)^```", page, flags=re.S | re.M)
    assert len(blocks) == 3
    for block in blocks:
        assert len(sweeps.plan_of(yaml.safe_load(block)).vary) >= 1
    first = page[page.index("The keys of the file") :].split("Measures that begin")[0]
    assert re.findall(r"`(\w+)`", "".join(line.split("|")[1] for line in first.splitlines() if "| `" in line)) == [
        *KEYS
    ]


def test_a_worker_is_told_its_number_of_threads():
    found = processes.limits(3)
    assert found["OMP_NUM_THREADS"] == found["TF_NUM_INTRAOP_THREADS"] == "3"
    assert "intra_op_parallelism_threads=3" in found["XLA_FLAGS"]
    before = os.environ.get("OMP_NUM_THREADS")
    with processes.starting(3):
        assert os.environ["OMP_NUM_THREADS"] == "3"
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    assert os.environ.get("OMP_NUM_THREADS") == before
    assert signal.getsignal(signal.SIGINT) != signal.SIG_IGN
    assert processes.Processes(None, 1).count == max(1, processes.cores())
    assert processes.Processes(None, 1000).count == 1


# What is told of it


def made(values, losses, state="done"):
    trials = [Trial(values, seed, None, Path(name_of(values, seed))) for seed in range(len(losses))]
    return table.Setting(values, trials, [Outcome(state, {"val_loss": loss}) for loss in losses])


def test_mean_and_deviation_over_seeds():
    found = made({"a": 1}, [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).spread("val_loss")
    assert found.mean == 5.0
    assert found.deviation == pytest.approx(math.sqrt(32 / 7))
    assert str(found) == "5.0 ± 2.1"
    assert str(table.spread([0.5])) == "0.5"
    assert math.isnan(table.spread([]).mean)
    assert str(table.spread([0.91, 0.93])) == "0.920 ± 0.014"
    assert str(table.spread([100.0, 500.0])) == "300 ± 283"
    assert str(table.spread([1e9, 3e9])) == "2e+09 ± 1.4e+09"


def test_settings_are_ranked_by_their_mean_and_those_without_one_are_last():
    settings = [made({"a": 1}, [2.0, 3.0]), made({"a": 2}, [], "failed"), made({"a": 3}, [1.0, 2.0])]
    down, up = (table.results_of(settings, "val_loss", maximised).ranked() for maximised in (False, True))
    assert [setting.values["a"] for setting in down] == [3, 1, 2]
    assert [setting.values["a"] for setting in up] == [1, 3, 2]
    usual = table.results_of(settings, None, True)
    assert (usual.measure, usual.maximised) == ("val_loss", False)


def test_a_measure_beside_an_option_of_its_name_keeps_its_own_column():
    setting = made({"val_loss": 7.0}, [0.5])
    columns, rows = table.results_of([setting], "val_loss", False).table()
    assert columns == ["trial", "val_loss", "seed", "state", "val_loss (measure)", "seconds", "error"]
    assert (rows[0]["val_loss"], rows[0]["val_loss (measure)"]) == (7.0, 0.5)


def test_one_option_is_drawn_with_error_bars():
    settings = [{"hidden": 64}, {"hidden": 4}, {"hidden": 16}]
    figure = plots.sweep(settings, [0.9, 0.2, 0.5], [0.1, math.nan, 0.2], "val_accuracy", logarithmic={"hidden"})
    (axes,) = figure.axes
    line = axes.lines[0]
    assert line.get_xdata().tolist() == [4, 16, 64]
    assert line.get_ydata().tolist() == [0.2, 0.5, 0.9]
    assert (axes.get_xscale(), axes.get_ylabel()) == ("log", "val accuracy")
    ends = np.sort(np.concatenate([segment[:, 1] for segment in axes.collections[0].get_segments()]))
    assert ends.tolist() == pytest.approx([0.2, 0.2, 0.3, 0.7, 0.8, 1.0])


def test_two_options_are_a_heat_map_and_three_a_panel_each():
    settings = [{"rule": rule, "hidden": hidden} for hidden in (16, 4) for rule in ("a", "b")]
    image, _ = plots.sweep(settings, [1.0, 2.0, 3.0, 4.0], [0.1] * 4, "val_loss").axes
    assert image.images[0].get_array().tolist() == [[3.0, 1.0], [4.0, 2.0]], "rows a, b; columns 4, 16"
    assert [label.get_text() for label in image.get_xticklabels()] == ["4", "16"]
    three = [{**setting, "cell": "lif"} for setting in settings]
    assert [axes.get_xlabel() for axes in plots.sweep(three, [1.0] * 4, [0.0] * 4, "val_loss").axes] == [
        *("rule", "hidden", "cell")
    ]
    drawn = [{"rate": 0.1 * i, "hidden": i} for i in range(8)]
    assert len(plots.sweep(drawn, [1.0] * 8, [0.0] * 8, "val_loss").axes) == 2, "no grid, no heat map"
    assert plots.sweep([{}], [1.0], [0.5], "val_loss").axes[0].get_xlabel() == "all seeds"


# After a kill

LONG = """
import sys
sys.path.insert(0, {tests!r})
from few_digits import load as few
def load():
    found = few()
    times = 30
    return found._replace(x_train=found.x_train.repeat(times, axis=0), y_train=found.y_train.repeat(times, axis=0))
"""


def started(folder, *options):
    """`neko sweep` in a process of its own, of which the workers are children."""
    words = [sys.executable, "-m", "neko", "sweep", "run.yaml", "--out", str(folder), *options]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def waited(process, seconds=300.0):
    _, told = process.communicate(timeout=seconds)
    assert process.returncode == 0, told


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:  # it has ended, perhaps while it was read
        return False


def all_end(pids, seconds=20.0):
    """Whether processes end soon; the last steps of one may come after the sweep's own end."""
    end = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.01)
    return not any(map(alive, pids))


def children(pid):
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def histories(folder):
    return {path.parent.name: path.read_bytes() for path in folder.glob("trials/*/history.csv")}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_a_killed_sweep_goes_on_bit_for_bit(tmp_path, monkeypatch):
    """Kills of the sweep and of a worker, at random moments; no worker outlives the sweep."""
    monkeypatch.chdir(tmp_path)
    Path("long.py").write_text(LONG.format(tests=str(Path(few_digits.__file__).parent)))
    options = {**SMALL, "data": "long.py:load", "epochs": 20, "hidden": 32}
    content = {"options": options, "vary": {"rule": ["bptt", "eprop:random"]}, "seeds": "0:2"}
    Path("run.yaml").write_text(yaml.safe_dump(content))
    waited(started(tmp_path / "whole", "--workers", "2"))
    truth = histories(tmp_path / "whole")
    assert len(truth) == 4
    rng, folder, cut = random.Random(0), tmp_path / "killed", 0
    for kill in range(4):
        before = histories(folder)
        process = started(folder, "--workers", "2")
        while histories(folder) == before and process.poll() is None:
            time.sleep(0.01)
        time.sleep(rng.uniform(0.0, 1.0))
        if process.poll() is not None:
            break
        workers = children(process.pid)
        process.kill()
        process.wait()
        process.stderr.close()
        assert workers, kill
        assert all_end(workers), "a worker without its sweep"
        cut += any(history and history not in truth.values() for history in histories(folder).values())
    assert cut, "no kill came within a run"
    waited(started(folder, "--workers", "2"))
    assert histories(folder) == truth
    for name in truth:
        assert outcome_of(folder / "trials" / name).measures == outcome_of(tmp_path / "whole/trials" / name).measures


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_ctrl_c_leaves_checkpoints_and_says_how_to_go_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("long.py").write_text(LONG.format(tests=str(Path(few_digits.__file__).parent)))
    Path("run.yaml").write_text(yaml.safe_dump({"options": {**SMALL, "data": "long.py:load", "epochs": 10**5}}))
    words = [sys.executable, "-m", "neko", "sweep", "run.yaml", "--workers", "1"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while len(list(Path("runs").glob("run/trials/*/checkpoints/*"))) < 2:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    workers = children(process.pid)
    process.send_signal(signal.SIGINT)
    out, told = process.communicate(timeout=60.0)
    assert process.returncode == 130, told
    assert "Traceback" not in told
    assert "Stopped after 0 trials; to go on: neko sweep run.yaml --workers 1" in out
    assert workers
    assert all_end(workers)


@pytest.mark.slow
def test_ray_runs_the_same_trials(tmp_path):
    pytest.importorskip("ray")
    content = plan(**GRID)
    whole = go(content, tmp_path / "here")
    found = sweeps.Sweep(content, tmp_path / "ray").go(engine="ray", workers=2, progress=False)
    assert not found.failed
    assert histories(tmp_path / "ray") == histories(tmp_path / "here")
    assert found.ranked()[0].values == whole.ranked()[0].values


def test_what_is_not_installed_is_named(tmp_path, monkeypatch):
    for name in ("ray", "optuna"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"pip install 'neko-learning\[ray\]'"):
        sweeps.Sweep(plan(**GRID), tmp_path).go(engine="ray", progress=False)
    with pytest.raises(ImportError, match=r"pip install 'neko-learning\[sweeps\]'"):
        sweeps.Sweep(plan(**TUNED), tmp_path)
    with pytest.raises(ValueError, match="engine='dask'"):
        sweeps.Sweep(plan(**GRID), tmp_path).go(engine="dask")


@pytest.mark.parametrize("method", ["mean_field(draws=2)", pytest.param("langevin", marks=pytest.mark.slow)])
def test_the_seeds_of_a_sampler_are_chains_of_one_posterior(method, tmp_path):
    options = {"data": few_digits.DATA, "hidden": 5, "method": method, "epochs": 3, "warmup": 1, "thinning": 1}
    options |= {"chains": 1, "warm": 0, "checkpoint_every": 3}
    content = {"command": "sample", "options": options, "vary": {"power": [1.0, 2.0]}, "seeds": "0:2"}
    found = sweeps.Sweep(sweeps.plan_of(content), tmp_path)
    found.prepare()
    trials = found.trials({"power": 2.0})
    outcomes = [perform(trial) for trial in trials]
    both = sweeps.posterior(tmp_path, power=2.0)
    assert both.logdensity.shape == (2, 2)
    parts = [runs.load(trial.folder).rule.posterior for trial in trials]
    for name, draws in both.draws.items():
        assert np.array_equal(draws, np.concatenate([part.draws[name] for part in parts])), name
        assert not np.array_equal(draws[0], draws[1]), name
    labels = few_digits.load().one_hot().y_test
    assert outcomes[0].measures["val_brier_score"] == parts[0].brier_score(labels.argmax(axis=-1))
    assert found.results().measure == "val_accuracy"
    with pytest.raises(ValueError, match="fits 2 settings"):
        sweeps.posterior(tmp_path)
    with pytest.raises(ValueError, match="no trial of this setting is done"):
        sweeps.posterior(tmp_path, power=1.0)


def test_a_comparison_has_cosines_as_measures(tmp_path):
    options = {"data": few_digits.DATA, "hidden": 5, "epochs": 1, "rules": "bptt,eprop:random"}
    found = go(sweeps.plan_of({"command": "compare", "options": options, "maximise": "cosine eprop:random"}), tmp_path)
    (setting,) = found.settings
    assert -1.0 <= setting.spread("cosine eprop:random").mean < 0.99
