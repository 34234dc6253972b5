"""Every experiment, quick, on its real data; and what all of them share."""

from __future__ import annotations

import csv
import json
import math
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from neko import datasets, runs
from neko.cli import app
from neko.experiments import EXPERIMENTS, Column, Experiment, Interval, Reproduction, Results, Table, Trial
from neko.experiments.listing1 import Listing1
from neko.experiments.reproduction import REPORT

SHORT = ("digits", "table1")
"""The others are left to `make proofs`: what they compute is held by the laws of the rules and of the samplers, and by
the tests of their parts in `tests/unit`."""
PAGES = sorted((Path(__file__).parent.parent / "docs" / "experiments").glob("*.md"))


class Draws(Experiment):
    """What is the mean of normal draws?

    Two rows of draws.

    References
    ----------
    Gauss (1809).
    """

    title = "Draws"
    default_seeds = 3
    shift = 1.0

    def settings(self):
        return {"shift": self.shift, "sizes": (3, 4)}

    def trials(self):
        return [Trial(row, seed) for seed in range(self.seeds) for row in ("plain", "moved | here")]

    def measure(self, trial):
        x = np.random.default_rng(trial.seed).normal(size=4) + self.shift * (trial.row != "plain")
        return {"mean": x.mean(), "curve": x}

    def table(self, results):
        return Table("row", results.rows, [results.column("mean", "mean"), results.beside("paper", {"plain": 0.0})])


@pytest.fixture
def draws(monkeypatch):
    """The experiment as ``draws``, as if it were registered; the trials that were measured."""
    monkeypatch.setitem(EXPERIMENTS._all(), "draws", Draws)
    measured = []
    measure = Draws.measure
    monkeypatch.setattr(Draws, "measure", lambda self, trial: measured.append(trial) or measure(self, trial))
    return measured


def run(*words):
    return CliRunner().invoke(app, ["reproduce", *map(str, words)])


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def without_seconds(folder):
    return [row for row in read(folder / "numbers.csv") if row["measure"] != "seconds"]


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n not in SHORT)) for n in EXPERIMENTS])
def test_every_experiment_runs_quickly_on_real_data(name, tmp_path):
    if missing := [d for d in EXPERIMENTS[name].data_sets if datasets.entry(d).place() == "not here"]:
        pytest.skip(f"needs {missing}")
    result = run(name, "--quick", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    rows = read(tmp_path / "table.csv")
    assert len(rows) >= 2
    assert all(any(cell for cell in list(row.values())[1:]) for row in rows)
    numbers = read(tmp_path / "numbers.csv")
    assert all(math.isfinite(float(row["value"])) for row in numbers)
    assert len({row["trial"] for row in numbers}) == len(list((tmp_path / "trials").iterdir()))
    check_report(name, (tmp_path / REPORT).read_text(encoding="utf-8"), tmp_path)


def check_report(name, text, folder):
    """Title, command, set-up, table, versions, and figures that are there; the command is returned."""
    assert text.startswith(f"# {EXPERIMENTS[name].title}\n")
    (command,) = re.findall(r"^```bash\n(.*)\n```$", text, flags=re.M)
    assert shlex.split(command)[:3] == ["neko", "reproduce", name]
    headings = re.findall(r"^## (.*)$", text, flags=re.M)
    assert headings == ["Set-up", "Results", "What the numbers depend on"]
    assert len(re.findall(r"^\| .* \|$", text, flags=re.M)) >= 4  # head, rule, and two rows at least
    assert re.search(r"neko \d.*numpy \d", text)
    for target in re.findall(r"!\[.*?\]\((.*?)\)", text):
        assert (folder / target).stat().st_size > 1000
    return command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_of_the_docs_is_a_whole_report(page):
    command = check_report(page.stem, page.read_text(encoding="utf-8"), page.parent)
    assert "--quick" not in command


def test_there_are_pages():
    assert {"figure3", "figure4", "manhattan"} <= {page.stem for page in PAGES}
    assert {page.stem for page in PAGES} <= set(EXPERIMENTS)


@pytest.mark.slow
def test_a_stopped_experiment_goes_on_to_the_same_numbers(tmp_path, monkeypatch):
    if datasets.entry("mnist").place() == "not here":
        pytest.skip("needs mnist")
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert run("listing1", "--quick", "--out", whole).exit_code == 0
    measure, calls = Listing1.measure, []

    def interrupted(self, trial):
        calls.append(trial)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return measure(self, trial)

    monkeypatch.setattr(Listing1, "measure", interrupted)
    result = run("listing1", "--quick", "--out", stopped)
    assert result.exit_code == 130
    assert f"after 2 of 4 trials; to go on: neko reproduce listing1 --quick --out {stopped}" in result.output
    assert not (stopped / REPORT).exists()
    assert run("listing1", "--quick", "--out", stopped).exit_code == 0
    assert len(calls) == 5  # the interrupted one again, and the last
    assert without_seconds(stopped) == without_seconds(whole)


def test_other_settings_are_refused_with_what_differs(draws, tmp_path, monkeypatch):
    assert run("draws", "--out", tmp_path).exit_code == 0
    result = run("draws", "--quick", "--out", tmp_path)
    assert result.exit_code == 2
    assert "quick=False there, True here" in " ".join(result.output.split())
    monkeypatch.setattr(Draws, "shift", 2.0)
    with pytest.raises(ValueError, match=r"shift=1.0 there, 2.0 here"):
        Reproduction("draws", tmp_path).go(progress=False)
    assert len(draws) == 6


def test_a_run_of_another_command_is_left_alone(draws, tmp_path):
    runs.write_config(runs.TrainConfig(), tmp_path)
    with pytest.raises(ValueError, match=r"experiment=None there, 'draws' here"):
        Reproduction("draws", tmp_path).go(progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


def test_more_seeds_are_added_to_those_that_are_there(draws, tmp_path):
    first = Reproduction("draws", tmp_path, seeds=2).go(progress=False)
    second = Reproduction("draws", tmp_path, seeds=4).go(progress=False)
    assert [trial.seed for trial in draws] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert [column.cells[0].n for column in (first.columns[0], second.columns[0])] == [2, 4]


def test_some_rows_alone_are_run_and_the_others_may_follow(draws, tmp_path):
    assert run("draws", "--only", "pla*", "--out", tmp_path).exit_code == 0
    assert [(trial.row, trial.seed) for trial in draws] == [("plain", seed) for seed in range(3)]
    assert [row["row"] for row in read(tmp_path / "table.csv")] == ["plain"]
    text = (tmp_path / REPORT).read_text(encoding="utf-8")
    assert f"neko reproduce draws --out {tmp_path} --only 'pla*'" in text
    assert run("draws", "--out", tmp_path).exit_code == 0
    assert [trial.row for trial in draws[3:]] == ["moved | here"] * 3
    assert [row["row"] for row in read(tmp_path / "table.csv")] == ["plain", "moved | here"]
    result = run("draws", "--only", "none*", "--out", tmp_path)
    assert result.exit_code == 2
    assert "only='none*': expected a pattern that fits one of" in " ".join(result.output.split())


def test_a_trial_of_other_options_is_refused(draws, tmp_path):
    Reproduction("draws", tmp_path).go(progress=False)
    path = tmp_path / "trials" / "plain-seed-1.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"options": {"fold": 1}}))
    with pytest.raises(ValueError, match=r"fold=1 there, None here"):
        Reproduction("draws", tmp_path).go(progress=False)


def test_two_trials_of_one_name_are_refused(draws, tmp_path, monkeypatch):
    monkeypatch.setattr(Draws, "trials", lambda self: [Trial("a b", 0), Trial("a-b", 0)])
    with pytest.raises(ValueError, match=r"'a-b-seed-0': expected rows, options or seeds that differ"):
        Reproduction("draws", tmp_path).go(progress=False)
    assert draws == []


def test_the_report_shows_what_was_measured(draws, tmp_path):
    Reproduction("draws", tmp_path).go(progress=False)
    text = (tmp_path / REPORT).read_text(encoding="utf-8")
    check_report("draws", text, tmp_path)
    means = [np.random.default_rng(seed).normal(size=4).mean() for seed in range(3)]
    t = 0.95 * np.sqrt(2.0 / (1.0 - 0.95**2))  # the quantile with two degrees of freedom, in closed form
    half = t * np.std(means, ddof=1) / np.sqrt(3)
    assert f"| plain | {np.mean(means):.3f} ± {half:.3f} | 0.000 |" in text
    assert f"| moved \\| here | {np.mean(means) + 1:.3f} ± {half:.3f} | – |" in text
    assert "**References**\n\nGauss (1809)." in text
    assert "Settings: shift 1.0, sizes 3 / 4." in text
    (row, _) = read(tmp_path / "table.csv")
    assert float(row["mean"]) == pytest.approx(np.mean(means), rel=1e-15)
    assert float(row["mean, ±"]) == pytest.approx(half, rel=1e-12)
    steps = [row for row in read(tmp_path / "numbers.csv") if row["measure"] == "curve" and row["seed"] == "2"]
    assert [float(row["value"]) for row in steps[:4]] == np.random.default_rng(2).normal(size=4).tolist()


def test_results_pad_shorter_curves_and_leave_out_what_was_not_measured():
    results = Results(
        [(Trial("a", 0), {"c": [1.0, 2.0]}), (Trial("a", 1), {"c": [3.0], "x": 5.0}), (Trial("b", 0), {})]
    )
    np.testing.assert_array_equal(results.values("a", "c"), [[1.0, 2.0], [3.0, np.nan]])
    assert results.interval("b", "x") is None
    assert results.column("x", "x", ".1f", scale=2.0).shown() == ["10.0", "–"]
    assert Column("n", [Interval(1.0, 0.5, 3), "text", 2], "g").shown() == ["1 ± 0.5", "text", "2"]
