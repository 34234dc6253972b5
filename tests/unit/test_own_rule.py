"""The example of a rule of one's own: what the page says of it holds, and every door takes it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import neko
from neko import backend as backends
from neko import runs
from neko.cells import ALIF
from neko.cli import app
from neko.registry import load
from neko.verification.cases import gradients, max_relative_error, on_host
from neko.verification.form import find_scale, network
from neko.verification.reference import eprop_by_autodiff

import few_digits

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "own_rule.py"
NAME = f"{EXAMPLE}:MyRule"
TAU = 7.0


@pytest.fixture(scope="module")
def rule():
    return load(NAME)


def faded(xp, state):
    """The state, of whose derivative the fraction ``exp(-dt / TAU)`` is kept."""
    share = math.exp(-1.0 / TAU)
    fields = (None if a is None else share * a + (1.0 - share) * xp.stop_gradient(a) for a in state)
    return type(state)(*fields)


class FadedALIF(ALIF):
    def dynamics(self, xp, state, current):
        return super().dynamics(xp, faded(xp, state), current)


def test_the_page_shows_the_example_which_is_short():
    text = EXAMPLE.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 40
    assert f"```python\n{text}```" in (ROOT / "docs" / "own_rule.md").read_text(encoding="utf-8")


@pytest.mark.quick("torch")
@pytest.mark.parametrize("backend", backends.installed())
def test_the_example_is_what_its_comments_say(rule, backend):
    """Against automatic differentiation of a network whose states fade, with the signs of the readout for feedback."""
    xp = backends.get(backend, dtype="float64")
    with xp.scope():
        scale, rate = find_scale(xp, ALIF(6), 4, 0)
        assert 0.02 < rate < 0.4
        model = neko.Evaluator(network(xp, ALIF(6), 4, 2, 0), loss="mse")
        rng = np.random.default_rng(0)
        data = scale * rng.standard_normal((3, 20, 4)), rng.standard_normal((3, 20, 2)), np.ones((3, 20))
        w_out = xp.to_numpy(model.params["readout.w_out"])
        signs = xp.asarray((np.sign(w_out) * np.sqrt(np.mean(w_out**2))).T)
        expected = eprop_by_autodiff(xp, model, [FadedALIF(6).without_reset()], *data, feedback=[signs])
        other = eprop_by_autodiff(xp, model, [ALIF(6).without_reset()], *data, feedback=[signs])
        found = gradients(neko.LearningRule(rule(model, tau_trace=TAU)), data)
    assert max_relative_error(found, on_host(xp, expected)) < 1e-9
    assert max_relative_error(found, on_host(xp, other)) > 1e-3  # the control: without the fading


def command(*arguments):
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    return result.exit_code, " ".join(result.output.split())


def test_the_commands_take_the_rule_with_its_option(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = ["--hidden", 8, "--epochs", 1, "--data", few_digits.DATA]
    code, output = command("train", *small, "--rule", f"{NAME}(tau_trace=20.0)", "--out", "trained")
    assert code == 0, output
    trained = runs.load("trained").rule
    assert type(trained.gradient).__name__ == "MyRule"
    assert trained.options()["tau_trace"] == 20.0
    assert command("train", "--resume", "trained", "--epochs", 2)[0] == 0
    code, output = command("train", *small, "--rule", f"{NAME}(tau=20.0)")
    assert code == 2
    assert "has no option 'tau'" in output
    variant = f"{NAME}(tau_trace=5.0, stepwise=True)"
    code, output = command("compare", *small, "--rules", f"bptt,{NAME},{variant}", "--out", "compared")
    assert code == 0, output
    numbers = runs.load("compared").rule.mean("cosine")
    assert set(numbers) == {"bptt", "myrule:symmetric", variant}
    assert numbers["bptt"] == pytest.approx(1.0)
    assert numbers["myrule:symmetric"] < 1.0
    assert numbers[variant] < 1.0
    chains = ["--pretrain", 1, "--warmup", 2, "--thinning", 1, "--chains", 1, "--epochs", 5, "--out", "drawn"]
    code, output = command("sample", *small[:2], *small[4:], *chains, "--drift", NAME)
    assert code == 0, output
    assert type(runs.load("drawn").rule.drift).__name__ == "MyRule"


def test_it_streams_online_and_stepwise(rule):
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((3, 12, 4)), rng.standard_normal((3, 12, 2))
    found = {}
    for name, options in {"whole": {}, "stepwise": {"stepwise": True}}.items():
        model = neko.Evaluator(neko.LIF(8, 2, backends.get("torch", dtype="float64"), seed=2), loss="mse")
        found[name] = gradients(neko.LearningRule(rule(model, **options)), (x, y))
    assert max_relative_error(found["stepwise"], found["whole"]) < 1e-9
    online = neko.LearningRule(rule(model), chunk=4, online=True)
    online.step(x, y)
    assert online.steps == 3
