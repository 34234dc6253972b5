"""The commands, as a user types them."""

from __future__ import annotations

import csv
import dataclasses
import errno
import functools
import importlib.util
import os
import shlex
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import neko
from neko import datasets, runs
from neko.cli import app
from neko.io import checkpoint

import few_digits


def run(*arguments):
    return CliRunner().invoke(app, list(arguments))


def test_train_prints_the_test_accuracy(tmp_path):
    arguments = ["--cell", "lif", "--hidden", "16", "--rule", "bptt", "--epochs", "1", "--out", str(tmp_path / "run")]
    result = run("train", *arguments)
    assert result.exit_code == 0, result.output
    assert "bptt" in result.output
    assert "%" in result.output


def test_demo_shows_eprop_beside_bptt(tmp_path):
    figure = tmp_path / "demo.png"
    result = run("demo", "--epochs", "1", "--figure", str(figure))
    assert result.exit_code == 0, result.output
    assert "e-prop" in result.output
    assert "BPTT" in result.output
    assert figure.stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "right"),
    [
        (["--data", "minst"], "'digits', 'ecg', 'evidence'"),
        (["--cell", "alf"], "'alif'"),
        (["--rule", "prop"], "did you mean 'eprop'?"),
        (["--rule", "eprop:symetric"], "'symmetric', 'random', 'adaptive'"),
        (["--optimizer", "manhattan", "--device", "memristor"], "'piecewise', 'power', 'soft_bounds'"),
        (["--optimizer", "manhattan", "--device", "soft_bound(dg_min_std=0.1)"], "did you mean 'soft_bounds'?"),
        (["--optimizer", "manhatan"], "did you mean 'manhattan'?"),
        (["--encoder", "step_foward"], "did you mean 'step_forward'?"),
        (["--loss", "categorical_crosentropy"], "did you mean 'categorical_crossentropy'?"),
        (["--loss", "tests/few_digits.py:losses"], "no file 'tests/few_digits.py'"),
        (["--metrics", "accuracy,firing_rates"], "did you mean 'firing_rate'?"),
        (["--device", "constant"], "the optimizer 'adam' sends no pulses to a device"),
        (["--optimizer", "manhattan", "--device", "constant", "--storage", "sngle"], "did you mean 'single'?"),
        (["--backend", "pytorch"], "'torch', 'jax', 'tensorflow'"),
        (["--rule", "bptt:random"], "rule 'bptt:random': expected 'bptt'"),
        (["--learning-rate", "-1"], "expected a finite number"),
    ],
)
def test_a_wrong_choice_lists_the_right_ones(arguments, right, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("train", "--epochs", "1", "--hidden", "4", *arguments)
    assert result.exit_code == 2
    assert right in " ".join(result.output.split())


def test_sample_shows_uncertainty_and_mixing(tmp_path):
    arguments = ["--method", "langevin", "--hidden", "12", "--pretrain", "3", "--epochs", "12", "--warmup", "4"]
    arguments += ["--thinning", "1", "--data", few_digits.DATA]
    result = run("sample", *arguments, "--batch-size", "4000", "--out", str(tmp_path / "run"))
    assert result.exit_code == 0, result.output
    for words in ("AUROC", "acceptance", "mixed: ", "step size", "accuracy after Adam", "seconds an epoch"):
        assert words in result.output
    figures = tmp_path / "run/figures"
    for name in ("posterior", "reliability", "selective", "chains", "ranks"):
        assert (figures / f"{name}.png").stat().st_size > 1000
    shown = run("show", str(tmp_path / "run"))
    for words in ("AUROC", "accuracy after Adam", "logdensity", "mixed: "):
        assert words in shown.output


@pytest.mark.parametrize(
    ("method", "told", "not_told"),
    [
        pytest.param("hmc", ("acceptance", "accuracy after Adam"), ("mixed",), marks=pytest.mark.slow),
        pytest.param("sghmc(friction=0.3)", ("step size",), ("acceptance", "mixed"), marks=pytest.mark.slow),
        ("mean_field(draws=7)", ("1 x 7", "30, 1"), ("acceptance", "mixed", "step size")),
        pytest.param("ensemble", ("1 x 1",), ("acceptance", "step size"), marks=pytest.mark.slow),
    ],
)
def test_sample_takes_every_method(tmp_path, method, told, not_told):
    arguments = ["--hidden", "8", "--pretrain", "1", "--epochs", "4", "--warmup", "1", "--thinning", "1"]
    arguments += ["--chains", "1", "--step-size", "1e-6", "--data", few_digits.DATA]
    result = run("sample", "--method", method, *arguments, "--out", str(tmp_path / "run"))
    assert result.exit_code == 0, result.output
    for words in ("AUROC", "calibrated: ", *told):
        assert words in result.output
    assert not [words for words in not_told if words in result.output]


def test_options_of_a_method_are_its_own_unless_they_are_given():
    from neko.runs.config import SampleConfig
    from neko.runs.plans import PLANS

    made = SampleConfig(method="block_gibbs(seed=3)", chains=3)
    plan = PLANS["block_gibbs"]
    assert (made.epochs, made.batch_size, made.warmup, made.chains) == (plan.epochs, plan.batch_size, plan.warmup, 3)
    assert SampleConfig(method="point").epochs != plan.epochs


def test_compare_draws_and_writes_numbers(tmp_path):
    arguments = ["--hidden", "8", "--epochs", "1", "--rules", "bptt,eprop:symmetric,eprop:random"]
    result = run("compare", *arguments, "--out", str(tmp_path))
    assert result.exit_code == 0, result.output
    hidden, readout = result.output.split("The readout against bptt")
    for kind in ("layers.0.w_in", "layers.0.w_rec", "all hidden"):
        assert cosine(hidden, kind, "eprop:symmetric") > 0.9
        assert abs(cosine(hidden, kind, "eprop:random")) < 0.5
    assert "readout" not in hidden
    for kind in ("readout.w_out", "readout.b_out"):
        assert cosine(readout, kind, "eprop:random") == 1.0
    assert (tmp_path / "figures/comparison.png").stat().st_size > 1000
    assert (tmp_path / "comparison.csv").read_text().startswith("batch,rule,tensor,cosine")
    assert hidden[hidden.index("Gradients") :] in run("show", str(tmp_path)).output


def test_compare_writes_a_report_with_its_tables(tmp_path, monkeypatch):
    """Also one that goes on, into another file; what is missing is said before any work."""
    small = ["compare", "--hidden", "6", "--epochs", "1", "--rules", "bptt,eprop:random"]
    page, other, folder = tmp_path / "page.html", tmp_path / "other.html", tmp_path / "run"
    result = run(*small, "--data", few_digits.DATA, "--report", str(page), "--out", str(folder))
    assert result.exit_code == 0, result.output
    assert "With targets permuted in the batch, bptt has a cosine of" in result.output
    assert page.stat().st_size > 1e6
    for table in ("comparison", "summary", "cosines", "activity"):
        assert {path.suffix for path in folder.glob(f"{table}.*")} == {".csv", ".parquet"}
    with (folder / "summary.csv").open() as file:
        costs = {row["rule"]: float(row["seconds"]) for row in csv.DictReader(file)}
    assert costs.keys() == {"bptt", "eprop:random"}
    assert min(costs.values()) > 0.0
    result = run("compare", "--resume", str(folder), "--epochs", "2", "--report", str(other))
    assert result.exit_code == 0, result.output
    assert other.stat().st_size > page.stat().st_size
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pyarrow" else found(name))
    result = run(*small, "--report", str(page), "--out", str(tmp_path / "none"))
    assert result.exit_code == 2
    assert "a report needs pyarrow: pip install 'neko-learning[report]'" in result.output
    assert not (tmp_path / "none").exists()


def cosine(table, kind, rule):
    """The number in a row of `neko compare`."""
    (row,) = [line.split("│") for line in table.splitlines() if kind in line and rule in line]
    return float(row[3])


@pytest.mark.parametrize(
    ("arguments", "right"),
    [
        pytest.param(["sample", "--method", "nuts"], "'hmc', ", marks=pytest.mark.slow),
        (["sample", "--drift", "rtlr"], "did you mean 'rtrl'?"),
        pytest.param(["sample", "--cell", "gru"], "has no feed-forward form", marks=pytest.mark.slow),
        (
            ["sample", "--method", "langevin", "--warm", "0", "--epochs", "1", "--hidden", "4"],
            "no draws after 1 epochs",
        ),
        (["compare", "--rules", "bptt"], "one or more"),
        (["compare", "--rules", "bptt,eprop:mirror"], "'symmetric'"),
    ],
)
def test_a_wrong_choice_of_the_other_commands_is_named(arguments, right, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert right in " ".join(result.output.split())


@pytest.mark.slow
def test_sample_goes_on_from_its_checkpoints(tmp_path, monkeypatch):
    """A longer run of the same chains has the draws that one run would have had."""
    monkeypatch.chdir(tmp_path)
    small = [
        "--method",
        "langevin",
        "--hidden",
        "6",
        "--pretrain",
        "1",
        "--warmup",
        "2",
        "--thinning",
        "1",
        "--data",
        few_digits.DATA,
    ]
    for arguments in (
        [*small, "--epochs", "4", "--checkpoint-every", "2", "--out", "a"],
        ["--resume", "a", "--epochs", "7"],
        [*small, "--epochs", "7", "--checkpoint-every", "2", "--out", "b"],
    ):
        result = run("sample", *arguments)
        assert result.exit_code == 0, result.output
    first, second = (checkpoint.read(checkpoint.listed(tmp_path / name / "checkpoints")[-1]) for name in "ab")
    assert first["history"] == second["history"]
    for chain, other in zip(first["learner"]["chains"], second["learner"]["chains"], strict=True):
        for name, draws in chain["draws"].items():
            assert len(draws) == 5
            assert np.array_equal(draws, other["draws"][name]), name


@pytest.mark.parametrize("command", ["demo", "train", "compare", "sample"])
def test_a_place_that_cannot_be_written_is_named_before_the_work(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("neko.datasets.load", lambda name: pytest.fail("worked first"))
    (tmp_path / "file").write_text("mine")
    figures = (
        ("figure.docx", "figure 'figure.docx': expected a path that ends in one of"),
        ("file/figure.png", "file: File exists: expected a folder that can be written"),
        (str(tmp_path), "expected"),
    )
    folders = (("file", "file is a file: expected a folder"), ("file/run", "file is a file: expected a folder"))
    for place, words in figures if command == "demo" else folders:
        result = run(command, "--figure" if command == "demo" else "--out", place)
        assert result.exit_code == 2
        assert words in " ".join(result.output.split()), result.output
    assert (tmp_path / "file").read_text() == "mine"


def test_a_full_disk_keeps_what_was_there(tmp_path, monkeypatch):
    run_of = ["compare", "--hidden", "4", "--rules", "bptt,eprop"]
    assert run(*run_of, "--epochs", "1", "--out", str(tmp_path)).exit_code == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    result = run("compare", "--resume", str(tmp_path), "--epochs", "2")
    assert result.exit_code == 2
    assert "not written: No space left on device; make room there" in " ".join(result.output.split())
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def interrupted(*args, **kwargs):
    """Ctrl-C at once, as a second one acts."""
    raise KeyboardInterrupt


def after(calls, monkeypatch, place):
    """Send the signal of Ctrl-C during the call of that number."""
    name, _, attribute = place.rpartition(":")
    owner = functools.reduce(getattr, name.split("."), neko)
    original, count = getattr(owner, attribute), iter(range(1, 10**6))

    def counted(*args, **kwargs):
        if next(count) == calls:
            os.kill(os.getpid(), signal.SIGINT)
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, attribute, counted)


def test_the_version_is_printed():
    result = run("--version")
    assert result.exit_code == 0
    assert result.output.strip() == f"neko {neko.__version__}"


WORK = (["train", "--epochs", "1"], ["sample"], ["compare"])


@pytest.mark.parametrize("arguments", WORK, ids=lambda a: a[0])
@pytest.mark.parametrize(
    ("there", "chosen"),
    [
        (("torch", "jax", "tensorflow"), "torch"),
        *(pytest.param(there, there[0], marks=pytest.mark.slow) for there in (("jax", "tensorflow"), ("tensorflow",))),
    ],
)
def test_the_first_framework_that_is_installed_is_the_default(arguments, there, chosen, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = []

    def get(name, **options):
        asked.append(name)
        raise ValueError("far enough")

    monkeypatch.setattr("neko.backend.installed", lambda: there)
    monkeypatch.setattr("neko.backend.get", get)
    result = run(*arguments)
    assert "error: far enough" in result.output
    assert asked == [chosen]


@pytest.mark.parametrize("arguments", [*WORK, ["verify", "neko.cells:LIF"]], ids=lambda a: a[0])
def test_where_no_framework_is_installed_it_is_said_what_to_install(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("neko.backend.installed", lambda: ())
    result = run(*arguments)
    assert result.exit_code == 2
    assert "no framework is installed" in result.output
    assert "pip install 'neko-learning[torch]'" in result.output


@pytest.mark.parametrize("arguments", WORK, ids=lambda a: a[0])
def test_every_work_takes_a_processor(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def get(name, *, device=None, dtype="float32", products=None):
        raise ValueError(f"asked for {device} of {name}")

    monkeypatch.setattr("neko.backend.get", get)
    result = run(*arguments, "--backend", "torch", "--processor", "cuda:77")
    assert result.exit_code == 2
    assert "error: asked for cuda:77 of torch" in result.output


@pytest.mark.parametrize(
    "arguments", [*WORK, ["demo"], ["show", "a"], ["data", "get", "digits"], ["verify", "neko.cells:LIF"]]
)
def test_ctrl_c_ends_every_command_in_a_line(arguments, tmp_path, monkeypatch):
    """Before anything is kept, so that nobody is told to go on with what is not there."""
    monkeypatch.chdir(tmp_path)
    for place in ("datasets.load", "runs.read_config", "datasets.entry", "verification.verify"):
        monkeypatch.setattr(f"neko.{place}", interrupted)
    result = run(*arguments)
    assert result.exit_code == 130
    assert "Stopped" in result.output
    assert "--resume" not in result.output
    assert "Traceback" not in result.output
    assert not list(tmp_path.rglob("config.yaml"))


def test_train_stopped_before_its_first_checkpoint_can_go_on(tmp_path, monkeypatch):
    """Once there is a folder of the run it is one that the advice is right for, also with a blank in its name."""
    monkeypatch.chdir(tmp_path)
    small = ["train", "--hidden", "6", "--epochs", "1"]
    with monkeypatch.context() as patch:
        patch.setattr("neko.training.learning_rule.LearningRule.learn", interrupted)
        result = run(*small, "--out", "runs/my run")
    assert result.exit_code == 130
    advice = result.output.strip().rpartition("to go on: neko ")[2]
    assert shlex.split(advice) == ["train", "--resume", "runs/my run"]
    assert run(*shlex.split(advice)).exit_code == 0
    assert run(*small, "--out", "runs/whole").exit_code == 0
    first, second = ((tmp_path / "runs" / name / "history.csv").read_bytes() for name in ("my run", "whole"))
    assert first == second


@pytest.mark.slow
def test_compare_stopped_by_ctrl_c_keeps_what_was_compared(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        after(3, patch, "training.comparison.GradientComparison:compare")
        result = run("compare", "--hidden", "6", "--epochs", "1", "--rules", "bptt,eprop:random", "--out", "a")
    assert result.exit_code == 130
    assert "Stopped; to go on: neko compare --resume a" in result.output
    with Path("a/comparison.csv").open() as file:
        assert {row["batch"] for row in csv.DictReader(file)} == {"0", "1", "2"}
    assert run("compare", "--resume", "a").exit_code == 0
    assert run("compare", "--config", "a/config.yaml", "--out", "b").exit_code == 0
    assert Path("a/comparison.csv").read_bytes() == Path("b/comparison.csv").read_bytes()


@pytest.mark.slow
def test_adam_before_the_chains_survives_ctrl_c(tmp_path, monkeypatch):
    """A run that was stopped in it has the draws of one that was not, and its progress was seen."""
    small = ["--method", "langevin", "--hidden", "6", "--pretrain", "2", "--warmup", "2"]
    small += ["--thinning", "1", "--epochs", "5"]
    small += ["--batch-size", "4000", "--chains", "2", "--data", "digits"]
    with monkeypatch.context() as patch:
        after(30, patch, "training.learning_rule.LearningRule:learn")
        result = run("sample", *small, "--out", str(tmp_path / "a"))
    assert result.exit_code == 130
    assert f"Stopped; to go on: neko sample --resume {tmp_path / 'a'}" in result.output
    assert "Adam before chain 2 of 2" in result.stderr
    assert "epoch 2/2" in result.stderr
    assert [len(checkpoint.listed(tmp_path / "a" / f"adam-{c}")) for c in (0, 1)] == [1, 1]
    for arguments in (["--resume", str(tmp_path / "a")], [*small, "--out", str(tmp_path / "b")]):
        result = run("sample", *arguments)
        assert result.exit_code == 0, result.output
        assert "langevin with 2 chains: 5 epochs" in result.stderr
    first, second = (
        checkpoint.read(checkpoint.listed(tmp_path / name / "checkpoints")[-1])["learner"] for name in "ab"
    )
    for chain, other in zip(first["chains"], second["chains"], strict=True):
        for name, draws in chain["draws"].items():
            assert np.array_equal(draws, other["draws"][name]), name


@pytest.mark.parametrize("command", ["train", "sample", "compare"])
def test_the_command_line_is_the_configuration(command):
    """Every field is an option, with its default and its help; names of the help come from the registries."""
    kind = runs.COMMANDS[command]
    output = run(command, "--help").output
    names = {parameter.name: parameter for parameter in typer.main.get_command(app).commands[command].params}
    fields = dataclasses.fields(kind)
    assert names.keys() - {"out", "config", "resume", "changed", "distributed", "help"} == {
        field.name for field in fields
    }
    for field in fields:
        if field.default is not dataclasses.MISSING:
            assert names[field.name].default == field.default
        assert field.metadata["help"] == names[field.name].help, "no help is looked up before it is asked for"
    for word in (*datasets.DATASETS, "dendritic", "tensorflow"):
        assert word in output
    assert "{" not in output


def test_verify_tells_each_check_as_it_ends(monkeypatch):
    """On the error stream, so that the table can be piped; Ctrl-C leaves what was told."""
    pytest.importorskip("torch")
    from neko.verification import ORACLES

    monkeypatch.setattr("neko.verification.ORACLES", {**ORACLES, "bptt": interrupted})
    result = run("verify", "neko.cells:LIF", "--backend", "torch")
    assert result.exit_code == 130
    told = [line for line in result.stderr.splitlines() if line.startswith("torch: ")]
    assert told[0] == "torch: form ok"
    assert told[-1].startswith("torch: eprop:adaptive = cut autodiff")
    assert "verdict" not in result.stdout


def test_sample_misses_scipy_before_the_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for module in ("scipy", "scipy.stats"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr("neko.datasets.load", lambda name: pytest.fail("worked first"))
    result = run("sample")
    assert result.exit_code == 2
    assert "pip install 'neko-learning[bayes]'" in result.output
