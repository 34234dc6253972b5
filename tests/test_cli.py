"""The commands, as a user types them."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest
from typer.testing import CliRunner

from neko import checkpoint
from neko.cli import app


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
        (["--data", "minst"], "'digits', 'evidence', 'mnist'"),
        (["--cell", "alf"], "'alif'"),
        (["--rule", "prop"], "'bptt', 'eprop', 'rtrl'"),
        (["--rule", "eprop:symetric"], "'symmetric', 'random', 'adaptive'"),
        (["--optimizer", "manhattan", "--device", "memristor"], "'constant', 'linear', 'soft_bounds'"),
        (["--device", "constant"], "only the optimizer 'manhattan'"),
        (["--backend", "pytorch"], "'torch', 'jax', 'tensorflow'"),
        (["--rule", "bptt:random"], "only 'eprop' has modes"),
        (["--learning-rate", "-1"], "expected a finite number"),
    ],
)
def test_a_wrong_choice_lists_the_right_ones(arguments, right, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("train", "--epochs", "1", "--hidden", "4", *arguments)
    assert result.exit_code == 2
    assert right in " ".join(result.output.split())


def test_sample_shows_uncertainty_and_mixing(tmp_path):
    figure = tmp_path / "posterior.png"
    arguments = ["--hidden", "12", "--pretrain", "3", "--epochs", "12", "--warmup", "4", "--thinning", "1"]
    result = run("sample", *arguments, "--batch-size", "4000", "--figure", str(figure))
    assert result.exit_code == 0, result.output
    for words in ("AUROC", "acceptance", "R-hat", "step size", "accuracy after Adam"):
        assert words in result.output
    assert figure.stat().st_size > 1000


@pytest.mark.parametrize("sampler", ["hmc", "sgld"])
def test_sample_takes_every_sampler(tmp_path, sampler):
    arguments = [
        "--hidden",
        "8",
        "--pretrain",
        "1",
        "--epochs",
        "4",
        "--warmup",
        "1",
        "--thinning",
        "1",
        "--chains",
        "1",
    ]
    result = run("sample", "--sampler", sampler, *arguments, "--step-size", "1e-6", "--figure", str(tmp_path / "a.png"))
    assert result.exit_code == 0, result.output
    assert "AUROC" in result.output
    assert "R-hat" not in result.output


def test_compare_draws_and_writes_numbers(tmp_path):
    figure, numbers = tmp_path / "compare.png", tmp_path / "compare.csv"
    arguments = ["--hidden", "8", "--epochs", "1", "--rules", "bptt,eprop:symmetric,eprop:random"]
    result = run("compare", *arguments, "--figure", str(figure), "--csv", str(numbers))
    assert result.exit_code == 0, result.output
    assert "eprop:symmetric" in result.output
    assert figure.stat().st_size > 1000
    assert numbers.read_text().startswith("batch,rule,tensor,cosine")


@pytest.mark.parametrize(
    ("arguments", "right"),
    [
        (["sample", "--sampler", "nuts"], "'hmc', 'langevin', 'sgld'"),
        (["sample", "--drift", "hebb", "--pretrain", "0"], "'bptt', 'eprop', 'rtrl'"),
        (["sample", "--cell", "gru"], "has no feed-forward form"),
        (["sample", "--pretrain", "0", "--epochs", "1", "--hidden", "4"], "no draws after 1 epochs"),
        (["compare", "--rules", "bptt"], "one or more"),
        (["compare", "--rules", "bptt,eprop:mirror"], "'symmetric'"),
    ],
)
def test_a_wrong_choice_of_the_other_commands_is_named(arguments, right, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert right in " ".join(result.output.split())


def test_sample_goes_on_from_its_checkpoints(tmp_path, monkeypatch):
    """A longer run of the same chains has the draws that one run would have had."""
    monkeypatch.chdir(tmp_path)
    small = ["--hidden", "6", "--pretrain", "1", "--warmup", "2", "--thinning", "1", "--batch-size", "4000"]
    for folder, lengths in (("a", ["4", "7"]), ("b", ["7"])):
        for epochs in lengths:
            arguments = [*small, "--epochs", epochs, "--checkpoints", folder, "--checkpoint-every", "2"]
            result = run("sample", *arguments)
            assert result.exit_code == 0, result.output
    first, second = (checkpoint.read(checkpoint.files(tmp_path / name)[-1]) for name in "ab")
    assert first["history"] == second["history"]
    for chain, other in zip(first["learner"]["chains"], second["learner"]["chains"], strict=True):
        for name, draws in chain["draws"].items():
            assert len(draws) == 5
            assert np.array_equal(draws, other["draws"][name]), name


def test_sample_stopped_by_ctrl_c_says_how_to_go_on(tmp_path, monkeypatch):
    def stopped(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("neko.rules.Langevin.epoch", stopped)
    for options, words in (([], "with --checkpoints"), (["--checkpoints", str(tmp_path / "c")], "the same command")):
        result = run("sample", "--hidden", "4", "--pretrain", "0", "--figure", str(tmp_path / "a.png"), *options)
        assert result.exit_code == 130
        assert words in " ".join(result.output.split())


@pytest.mark.parametrize("command", ["demo", "compare", "sample"])
def test_a_file_that_cannot_be_written_is_named_before_the_work(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("neko.datasets.load", lambda name: pytest.fail("worked first"))
    (tmp_path / "file").write_text("mine")
    for figure, words in (
        ("figure.docx", "figure 'figure.docx': expected a path that ends in one of"),
        ("file/figure.png", "file: File exists: expected a folder that can be written"),
        (str(tmp_path), "expected"),
    ):
        result = run(command, "--figure", figure)
        assert result.exit_code == 2
        assert words in " ".join(result.output.split()), result.output
    if command == "sample":
        result = run(command, "--checkpoints", "file/chains")
        assert result.exit_code == 2
        assert "file/chains: Not a directory: expected a folder that can be written" in " ".join(result.output.split())
    assert (tmp_path / "file").read_text() == "mine"


def test_a_full_disk_keeps_the_old_figure(tmp_path, monkeypatch):
    figure = tmp_path / "compare.png"
    figure.write_bytes(b"old")

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    arguments = ["--hidden", "4", "--epochs", "1", "--rules", "bptt,eprop", "--figure", str(figure)]
    result = run("compare", *arguments, "--csv", str(tmp_path / "compare.csv"))
    assert result.exit_code == 2
    assert "compare.csv" in result.output
    assert "not written: No space left on device; make room there" in " ".join(result.output.split())
    assert figure.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["compare.png"]
