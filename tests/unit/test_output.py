"""What is printed, on terminals, into pipes, and where an encoding lacks characters."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest
from rich.table import Table
from typer.testing import CliRunner

from neko import datasets, runs
from neko.cli import app
from neko.io import console
from neko.training.history import History

ENCODINGS = ["ascii", "cp932", "cp437", "latin-1", "utf-8"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run whose name no small encoding has."""
    path = tmp_path_factory.mktemp("runs") / "κ é 猫 [one]"
    runs.write_config(runs.TrainConfig(backend="torch", processor="cpu"), path)
    history = History()
    history.append({"loss": 1.5, "val_loss": 2.5})
    history.save(path / runs.HISTORY)
    return path


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--help"], 0, "Usage"),
        (["data", "get", "--help"], 0, "NAME"),
        (["data", "list"], 0, "store-recall"),
        (["data", "get", "minst–é猫"], 2, "expected one of"),
        (["train", "--data", "κ"], 2, "expected one of"),
        (["train", "--κ"], 2, "No such option"),
        (["show", "no/such–κ"], 2, "expected the config.yaml of a run"),
    ],
)
def test_every_encoding_takes_every_text(encoding, arguments, code, words):
    result = CliRunner(charset=encoding).invoke(app, arguments)
    assert result.exit_code == code, result.output
    assert not isinstance(result.exception, UnicodeError)
    assert words in result.output


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_run_of_any_name_is_shown(encoding, folder):
    result = CliRunner(charset=encoding).invoke(app, ["show", str(folder)])
    assert result.exit_code == 0, result.output
    assert "After 1 of 30 epochs" in result.output
    name = {"ascii": "? e ? [one]", "cp932": "κ e 猫 [one]", "latin-1": "? é ? [one]", "utf-8": "κ é 猫 [one]"}
    assert name.get(encoding, "[one]") in result.output, "brackets are no markup"
    size = {"ascii": "8 x 8", "utf-8": "8 × 8", "latin-1": "8 × 8"}
    assert size.get(encoding, "8") in CliRunner(charset=encoding).invoke(app, ["data", "list"]).output


def test_a_process_in_an_ascii_locale_prints_tables():
    unset = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHONIO", "LC_", "LANG"))}
    locale = {**unset, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, "-m", "neko", "data", "list"], env=locale, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert b"8 x 8 pixels" in done.stdout
    assert done.stdout.isascii()


def test_each_character_becomes_one():
    """So that a table keeps its columns; letters stay letters."""
    text = "".join(map(chr, [*range(0x20, 0x3000), 0x732B, 0x1F600]))
    found = text.encode("ascii", console.ERRORS)
    assert len(found) == len(text)
    assert found[:0x5F].decode() == text[:0x5F]
    assert "Éluard × 2 – naïve…".encode("ascii", console.ERRORS) == b"Eluard x 2 - naive."


def test_a_pipe_has_no_width(monkeypatch):
    """Every row of a table is one line, whatever COLUMNS says of a terminal that is not there."""
    monkeypatch.setenv("COLUMNS", "40")
    lines = CliRunner().invoke(app, ["data", "list"]).output.splitlines()
    for name, entry in datasets.DATASETS.items():
        assert [line for line in lines if name in line and entry.about in line and entry.licence in line], name
    assert len(lines) == len(datasets.DATASETS) + 5


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("file", "longest"), [(Terminal(), 30), (io.StringIO(), 150)])
def test_a_terminal_keeps_its_width(file, longest, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("TERM", "xterm")
    table = Table("words")
    table.add_row("much " * 25)
    console.Output(file=file, color_system=None).print(table)
    widths = {len(line) for line in file.getvalue().splitlines()}
    assert widths == {30} if longest == 30 else min(widths) > 100


def test_who_reads_a_line_only_gets_no_traceback():
    command = f"{sys.executable} -m neko data list | head -n 1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert len(done.stdout.splitlines()) == 1
