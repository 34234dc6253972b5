"""What is held of any rule: right rules pass, and every kind of broken one is found out and named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import neko
from neko import backend as backends
from neko.cells import GRU, LIF
from neko.cli import app
from neko.rules import RULES, Gradient, GradientRule
from neko.rules.exact.bptt import BPTT
from neko.rules.online.eprop import Eprop
from neko.verification import verify_rule

if "torch" not in backends.installed():
    pytest.skip("PyTorch is not installed", allow_module_level=True)


class ReadsPadding(BPTT):
    """Weights all frames alike."""

    def differentiate(self, params, feedback, batch, carry):
        every = batch._replace(weight=0.1 * self.xp.ones_like(batch.weight))
        return super().differentiate(params, feedback, every, carry)

    def in_chunks(self, params, feedback, batch, carry, length):
        every = batch._replace(weight=0.1 * self.xp.ones_like(batch.weight))
        return super().in_chunks(params, feedback, every, carry, length)


class InPlace(BPTT):
    """Adds the gradient to the parameters themselves."""

    def differentiate(self, params, feedback, batch, carry):
        found = super().differentiate(params, feedback, batch, carry)
        params["readout.b_out"] += found.gradients["readout.b_out"]
        return found


class NewParameters(BPTT):
    """Puts new parameters into the dict that it was given."""

    def differentiate(self, params, feedback, batch, carry):
        found = super().differentiate(params, feedback, batch, carry)
        params["readout.b_out"] = params["readout.b_out"] - found.gradients["readout.b_out"]
        return found


class Restless(BPTT):
    """Moves weights without an error."""

    def differentiate(self, params, feedback, batch, carry):
        found = super().differentiate(params, feedback, batch, carry)
        return found._replace(gradients={name: g + 1e-3 * params[name] for name, g in found.gradients.items()})

    streams = False


class WithoutObjective(Restless):
    """The same, and says that it follows no loss."""

    has_objective = False


class Forgetful(Eprop):
    """Carries the state of the network, and loses its traces."""

    def differentiate(self, params, feedback, batch, carry):
        forgotten = None if carry is None else carry._replace(traces=None)
        return super().differentiate(params, feedback, batch, forgotten)


class Untold(BPTT):
    """Cuts credit between pieces, and does not say so."""

    truncates = False


class Counting(BPTT):
    """Keeps a state in itself."""

    calls = 0

    def differentiate(self, params, feedback, batch, carry):
        self.calls += 1
        found = super().differentiate(params, feedback, batch, carry)
        return found._replace(gradients={name: self.calls * g for name, g in found.gradients.items()})


class Noisy(BPTT):
    """New noise at every call, of NumPy's global generator."""

    def noise(self, batch, g):
        return self.xp.asarray(np.random.normal(size=g.shape))

    def differentiate(self, params, feedback, batch, carry):
        found = super().differentiate(params, feedback, batch, carry)
        gradients = {name: g * (1.0 + 0.1 * self.noise(batch, g)) for name, g in found.gradients.items()}
        return found._replace(gradients=gradients)


class Keyed(Noisy):
    """Noise of the number of the update."""

    streams = False

    def noise(self, batch, g):
        key = self.xp.random.fold(self.xp.random.key(3), batch.number)
        return self.xp.random.normal(key, tuple(g.shape))


class LeftOut(BPTT):
    def differentiate(self, params, feedback, batch, carry):
        found = super().differentiate(params, feedback, batch, carry)
        return found._replace(gradients={name: g for name, g in found.gradients.items() if "w_rec" not in name})


class Transposed(BPTT):
    def differentiate(self, params, feedback, batch, carry):
        found = super().differentiate(params, feedback, batch, carry)
        turned = self.xp.matrix_transpose(found.gradients["readout.w_out"])
        return found._replace(gradients={**found.gradients, "readout.w_out": turned})


class Infinite(BPTT):
    def differentiate(self, params, feedback, batch, carry):
        found = super().differentiate(params, feedback, batch, carry)
        return found._replace(gradients={name: g / 0.0 for name, g in found.gradients.items()})


class Nothing(BPTT):
    def differentiate(self, params, feedback, batch, carry):
        found = super().differentiate(params, feedback, batch, carry)
        return found._replace(gradients={name: 0.0 * g for name, g in found.gradients.items()})


class OneLayer(BPTT):
    """Defined for one layer."""

    def __init__(self, model, **options):
        super().__init__(model, **options)
        if len(self.model.network.cells) > 1:
            raise ValueError("OneLayer is defined for one layer: expected no stack")


class NoLayer(BPTT):
    def __init__(self, model, **options):
        raise TypeError("NoLayer is defined for no network")


class Reservoir(GradientRule):
    """No gradient for the hidden weights."""

    def differentiate(self, params, feedback, batch, carry):
        found = BPTT(self.model).differentiate(params, feedback, batch, None)
        zeros = {name: g if name.startswith("readout") else 0.0 * g for name, g in found.gradients.items()}
        return Gradient(found.forward, zeros, None)


def failing(rule, cell=LIF, names=("torch",)):
    report = verify_rule(rule, cell=cell, backends=names)
    return {check.name: check for check in report.failures}


@pytest.mark.parametrize(
    ("rule", "name", "reason"),
    [
        (ReadsPadding, "padded frames", "values of padded frames change the gradient: multiply by batch.valid"),
        (InPlace, "nothing changed in place", "parameters or batch were changed: make new arrays"),
        (NewParameters, "nothing changed in place", "a dict of weights holds other arrays after the call"),
        (Restless, "zero error, zero change", "weights move although targets equal outputs"),
        (Forgetful, "pieces = whole", "do not add up to the whole: carry all that later steps depend on"),
        (Untold, "pieces = whole", "set truncates = True where pieces cut credit"),
        (Counting, "same call, same numbers", "keep no state in the rule"),
        (Noisy, "same call, same numbers", "draw noise from xp.random.fold"),
        (LeftOut, "gradients", "no gradient of ['layers.0.w_rec']: expected one of every parameter"),
        (Transposed, "gradients", "the gradient of readout.w_out has shape (2, 6): expected (6, 2)"),
        (Infinite, "gradients", "is not finite"),
        (Nothing, "gradients", "all gradients are zero"),
        (NoLayer, "networks", "no network was accepted"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_broken_rule_is_found_out(rule, name, reason):
    found = failing(rule)
    expected = name if name == "networks" else f"LIF: {name}"
    assert expected in found, found
    assert reason in found[expected].reason
    if name in ("padded frames", "zero error, zero change", "pieces = whole"):
        assert {key.partition(": ")[2] for key in found} == {name}, "only what is wrong is found wrong"


@pytest.mark.parametrize("rule", ["bptt", "rtrl", "eprop:random", Keyed, Reservoir, WithoutObjective, OneLayer])
def test_a_right_rule_holds_and_what_does_not_apply_is_noted(rule):
    report = verify_rule(rule, backends=["torch"])
    assert report.ok, report
    found = {check.name: check for check in report.checks}
    assert {name.partition(":")[0] for name in found} == {"ALIF", "ALIF, two layers", "GRU", "GRU, two layers"}
    notes = {
        Keyed: ("ALIF: pieces = whole", "carries no state"),
        Reservoir: ("GRU: alignment with BPTT", "hidden weights have no gradient; readout: cosine 1"),
        WithoutObjective: ("GRU: zero error, zero change", "follows no loss"),
        OneLayer: ("GRU, two layers: network", "refused: OneLayer is defined for one layer"),
    }
    if rule in notes:
        name, words = notes[rule]
        assert words in found[name].reason
    assert found["ALIF: network"].value > 0.02, "an active network"


@pytest.mark.slow
def test_alignment_is_that_of_a_comparison():
    found = {c.name: c for c in verify_rule("eprop:random", backends=["torch"]).checks}
    exact = {c.name: c for c in verify_rule("rtrl", backends=["torch"]).checks}
    for name in ("ALIF", "ALIF, two layers", "GRU", "GRU, two layers"):
        check = f"{name}: alignment with BPTT"
        assert exact[check].value == pytest.approx(1.0, abs=1e-9)
        assert -0.9 < found[check].value < 0.95
        assert "norm ratio 1;" in exact[check].reason


@pytest.mark.slow
@pytest.mark.parametrize("backend", [name for name in backends.installed() if name != "torch"])
def test_a_backend_is_held_against_the_first(backend):
    """Also where a rule's numbers depend on the framework, which only the comparison can tell."""
    report = verify_rule("eprop:random", cell=LIF, backends=["torch", backend])
    assert report.ok, report
    assert {f"LIF: {name}" for name in ("gradients = torch", "compiled = plain", "pieces = whole")} <= {
        check.name for check in report.checks if check.backend == backend
    }

    class Partial(BPTT):
        def differentiate(self, params, feedback, batch, carry):
            found = super().differentiate(params, feedback, batch, carry)
            share = 1.0 if self.xp.name == "torch" else 1.0 + 1e-8
            return found._replace(gradients={name: share * g for name, g in found.gradients.items()})

    (failure, *_) = verify_rule(Partial, cell=LIF, backends=["torch", backend]).failures
    assert (failure.name, failure.backend) == ("LIF: gradients = torch", backend)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(RULES))
def test_every_rule_of_neko_holds_on_all_backends(name):
    report = verify_rule(name)
    assert report.ok, report


def test_what_is_no_rule_is_refused():
    for wrong in (3, object, LIF, neko.LIF(4, 2, "torch")):
        with pytest.raises(TypeError, match="expected the name or class of a gradient rule"):
            verify_rule(wrong)
    with pytest.raises(ValueError, match="did you mean 'eprop'"):
        verify_rule("eprp")
    with pytest.raises(TypeError, match=r"expected a neko\.cells\.Cell"):
        verify_rule("bptt", cell=3)
    with pytest.raises(ValueError, match="'torch', 'jax', 'tensorflow'"):
        verify_rule("bptt", backends=["pytorch"])
    with pytest.raises(ValueError, match="makes no network to hold a rule on: silent"):
        verify_rule("bptt", cell=LIF(4, v_th=1e9), backends=["torch"])
    assert "building it gave int" in failing(lambda model: 3)["LIF: network"].reason


def command(*arguments):
    result = CliRunner().invoke(app, ["verify", *map(str, arguments)])
    return result.exit_code, " ".join(result.output.split())


@pytest.mark.slow
def test_the_command_takes_a_rule_and_a_cell(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(
        "import neko\n"
        "from neko.cells import LIF\n"
        "class Mine(neko.rules.BPTT):\n    pass\n"
        "class Wrong(neko.rules.BPTT):\n"
        "    def differentiate(self, params, feedback, batch, carry):\n"
        "        found = super().differentiate(params, feedback, batch, carry)\n"
        "        return found._replace(gradients=params)\n"
        "class Cell(LIF):\n    pass\n"
    )
    code, output = command("mine.py:Cell", "--rule", "mine.py:Mine", "--backend", "torch")
    assert code == 0, output
    assert "Cell, two layers: alignment with BPTT" in output
    code, output = command("gru", "--rule", "mine.py:Wrong", "--backend", "torch")
    assert code == 1, output
    assert "FAILED" in output
    for arguments, words in (
        ([], "neither a cell nor a rule"),
        (["--rule", "mine.py:Other"], "mine.py has no 'Other'"),
        (["--rule", "bppt"], "did you mean 'bptt'?"),
        (["alf", "--rule", "bptt"], "did you mean 'alif'?"),
        (["mine.py:Cell", "--rule", "bptt", "--all-rules"], "--all-rules judges a cell"),
    ):
        code, output = command(*arguments)
        assert code == 2, output
        assert words in output


@pytest.mark.slow
def test_a_cell_is_judged_by_few_rules_or_by_all():
    usual = [check.name for check in neko.verify(GRU, backends=["torch"]).checks]
    judged = [f"{rule} = {RULES.about(rule.partition(':')[0])['oracle']}" for rule in ("bptt", "eprop:random", "rtrl")]
    assert set(judged) <= set(usual)
    report = neko.verify(GRU, backends=["torch"], all_rules=True)
    every = {check.name.partition(":")[0].partition(" =")[0] for check in report.checks}
    assert set(RULES) <= every
    assert report.ok, report
