"""`neko runs`: which folders are runs, what is told of them, and what differs between two."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from typer.testing import CliRunner

from neko import runs
from neko.cli import app
from neko.runs.summary import best, summaries
from neko.training.history import History


def command(*arguments):
    return CliRunner().invoke(app, ["runs", *(str(a) for a in arguments)])


def words(result):
    return " ".join(result.output.split())


def write(folder, accuracies, losses=None, **options):
    """A run's folder as `neko.runs` leaves it, with checkpoints that nobody may read."""
    config = runs.TrainConfig(**{"backend": "torch", "epochs": 5, **options})
    runs.write_config(config, folder)
    losses = [1.0 / (i + 1) for i in range(len(accuracies))] if losses is None else losses
    History(val_accuracy=accuracies, val_loss=losses).save(folder / "history.csv")
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "config.yaml").write_text("command: train\noptions: {}\n")


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "runs" / "a", [0.1, 0.9, 0.8], rule="eprop")
    write(tmp_path / "runs" / "deep" / "b", [0.2, 0.85], rule="bptt", learning_rate=0.01)
    write(tmp_path / "runs" / "c", [], epochs=7)
    return tmp_path / "runs"


def test_runs_at_any_depth_are_listed_with_last_and_best_measures(folder, tmp_path):
    table = tmp_path / "table.csv"
    result = command(folder, "--csv", table)
    assert result.exit_code == 0, result.output
    with table.open(newline="") as file:
        rows = {row["run"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["a", "c", str(Path("deep") / "b")]
    assert (rows["a"]["epochs"], rows["c"]["epochs"]) == ("3 of 5", "0 of 7")
    assert (rows["a"]["val_accuracy"], rows["a"]["best val_accuracy"]) == ("0.8", "0.9")
    assert rows["c"]["val_accuracy"] == ""
    assert float(rows["a"]["best val_loss"]) == 1 / 3
    assert [rows["a"][name] for name in ("command", "data", "cell", "rule", "update", "backend")] == [
        *("train", "digits", "alif", "eprop", "adam", "torch")
    ]
    assert rows["a"]["date"] in words(result)


@pytest.mark.parametrize(
    ("measure", "order"), [("val_accuracy", ["deep/b", "a", "c"]), ("val_loss", ["a", "deep/b", "c"])]
)
def test_the_best_run_comes_first_and_one_without_the_measure_last(folder, measure, order):
    output = command(folder, "--sort", measure).output
    found = [line.split("│")[1].strip() for line in output.splitlines() if "digits" in line]
    assert found == order


def test_a_measure_that_no_run_has_is_named(folder):
    result = command(folder, "--sort", "val_acuracy")
    assert result.exit_code == 2
    assert "expected one of ['val_accuracy', 'val_loss']; did you mean 'val_accuracy'?" in words(result)


def test_two_runs_are_compared_in_what_differs(folder):
    result = command(folder / "a", folder / "deep" / "b", "--compare")
    assert result.exit_code == 0, result.output
    rows = {cells[1].strip(): cells for line in result.output.splitlines() if len(cells := line.split("│")) > 3}
    assert {name: [cell.strip() for cell in cells[2:4]] for name, cells in rows.items()} == {
        "rule": ["eprop", "bptt"],
        "learning_rate": ["-", "0.01"],
        "val_accuracy": ["0.8", "0.85"],
        "val_loss": ["0.3333", "0.5"],
    }
    result = command(folder / "a", "--compare")
    assert result.exit_code == 2
    assert "expected two or more" in words(result)


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("config.yaml", "options: [", "is no YAML"),
        ("config.yaml", "options: {hiden: 3}", "option 'hiden': expected one of"),
        ("config.yaml", "hidden: 3", "expected a section 'options'"),
        ("history.csv", "epoch,loss\n1,0.5,3\n", "is no history"),
        ("history.csv", "epoch,loss\n1,low\n", "is no history"),
    ],
)
def test_a_damaged_folder_is_said_to_be_damaged_and_the_others_are_listed(folder, file, content, reason):
    (folder / "c" / file).write_text(content)
    result = command(folder, "--sort", "val_accuracy")
    assert result.exit_code == 0, result.output
    assert "damaged" in words(result)
    assert f"Damaged: c: {file}" in words(result)
    assert reason in words(result)
    assert "0.85" in result.output


def test_what_is_no_run_is_left_out(folder, tmp_path):
    """A reproduction has a config.yaml too; what a run's folder has inside is no run."""
    other = folder / "figure4"
    other.mkdir()
    (other / "config.yaml").write_text("command: reproduce\noptions: {experiment: figure4}\n")
    assert [run.folder.name for run in summaries(folder)] == ["a", "c", "b"]
    (tmp_path / "empty").mkdir()
    for place, told in ((tmp_path / "empty", "no run below"), (tmp_path / "none", "no folder")):
        result = command(place)
        assert result.exit_code == 2
        assert told in words(result)


def test_the_best_is_the_highest_accuracy_and_the_lowest_loss():
    nan = float("nan")
    assert best("val_accuracy", [0.2, nan, 0.1]) == 0.2
    assert best("loss", [0.2, nan, 0.1]) == 0.1
    assert best("firing_rate", [1.0, 2.0]) is None
    assert best("loss", [nan]) is None
