"""The commands, as a user types them."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from neko.cli import app


def run(*arguments):
    return CliRunner().invoke(app, list(arguments))


def test_train_prints_the_test_accuracy_and_draws(tmp_path):
    figure = tmp_path / "deep" / "curves.png"
    result = run("train", "--cell", "lif", "--hidden", "16", "--rule", "bptt", "--epochs", "1", "--figure", str(figure))
    assert result.exit_code == 0, result.output
    assert "bptt" in result.output
    assert "%" in result.output
    assert figure.stat().st_size > 1000


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
        (["--data", "minst"], "'digits', 'mnist'"),
        (["--cell", "alf"], "'alif'"),
        (["--rule", "prop"], "'bptt', 'eprop', 'rtrl'"),
        (["--mode", "symetric"], "'symmetric', 'random', 'adaptive'"),
        (["--backend", "pytorch"], "'torch', 'jax', 'tensorflow'"),
        (["--rule", "bptt", "--mode", "random"], "only the rule 'eprop' has modes"),
        (["--learning-rate", "-1"], "expected a finite number"),
    ],
)
def test_a_wrong_choice_lists_the_right_ones(arguments, right):
    result = run("train", "--epochs", "1", "--hidden", "4", *arguments)
    assert result.exit_code == 2
    assert right in " ".join(result.output.split())
