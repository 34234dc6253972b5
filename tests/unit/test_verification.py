"""The oracles on a user's cell: right cells pass, and every kind of broken one is found out and named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

import neko
from neko import backend as backends
from neko.cells import ALIF, CELLS, LIF, AdEx, Cell, Dendritic
from neko.cells.surrogates import Triangular
from neko.cli import app

EXAMPLE = Path(__file__).parents[2] / "examples" / "adex_two_currents.py"
ORACLES = ("rtrl = bptt", "eprop:symmetric = cut autodiff", "e-prop in chunks = whole", "bptt = autodiff")


class State(NamedTuple):
    v: Any
    z: Any


@dataclass(frozen=True, eq=False)
class Own(Cell):
    """A sound cell; each broken one below differs from it in one line."""

    State = State
    spiking = True
    autapses = False

    def step(self, xp, state, current):
        return 0.9 * state.v * (1.0 - xp.stop_gradient(state.z)) + current

    def emit(self, xp, v):
        return Triangular()(xp, v - 1.0)

    def dynamics(self, xp, state, current):
        v = self.step(xp, state, current)
        return State(v, self.emit(xp, v))


class MeanOfNeurons(Own):
    def step(self, xp, state, current):
        return 0.9 * state.v + current - 0.1 * xp.mean(state.v, axis=-1, keepdims=True)


class Neighbour(Own):
    def step(self, xp, state, current):
        return 0.9 * state.v + xp.concat([current[:, 1:], current[:, :1]], axis=1)


class HiddenDerivative(Own):
    """Its values are element-wise; its derivative is not."""

    def step(self, xp, state, current):
        mean = xp.mean(current, axis=-1, keepdims=True)
        return 0.9 * state.v + current + (mean - xp.stop_gradient(mean))


class BareThreshold(Own):
    def emit(self, xp, v):
        return xp.astype(v > 1.0, xp.dtype)


class Overflows(Own):
    def step(self, xp, state, current):
        return 1.1 * state.v * state.v + current


class Silent(Own):
    def emit(self, xp, v):
        return Triangular()(xp, xp.tanh(v) - 2.0)


class Saturated(Own):
    def emit(self, xp, v):
        return Triangular()(xp, xp.tanh(v) + 2.0)


class Graded(Own):
    def emit(self, xp, v):
        return 0.5 * Triangular()(xp, v - 1.0)


class WrongShape(Own):
    def emit(self, xp, v):
        return xp.sum(v, axis=-1)


class Raises(Own):
    def emit(self, xp, v):
        return xp.heaviside(v)


class NoState(Own):
    def dynamics(self, xp, state, current):
        v = self.step(xp, state, current)
        return v, self.emit(xp, v)


class Integers(Own):
    def emit(self, xp, v):
        return v > 1.0


@dataclass(frozen=True, eq=False)
class OtherReset(Own):
    detach_reset: bool = False

    def step(self, xp, state, current):
        return (0.5 if self.detach_reset else 0.9) * state.v + current


class Still(Own):
    spiking = False

    def emit(self, xp, v):
        return xp.zeros_like(v)


BROKEN = {
    MeanOfNeurons: ("column law", "v of neuron 0 depends on v of neuron 2"),
    Neighbour: ("column law", "v of neuron 1 depends on current 0 of neuron 2"),
    HiddenDerivative: ("column law", "the derivative of v of neuron 0 depends on current 0"),
    BareThreshold: ("trainable", "layers.0.w_in, layers.0.w_rec get no gradient"),
    Overflows: ("finite run", "v is .* after step .* limit what grows"),
    Silent: ("alive", "silent: at most 0 spikes a step"),
    Saturated: ("alive", "saturated: at least 1 spikes a step"),
    Graded: ("alive", "takes values such as 0.5: expected spikes"),
    WrongShape: ("form", r"z has shape \(3,\) after a step: expected .*\(3, 6\)"),
    Raises: ("form", "AttributeError: .*heaviside"),
    NoState: ("form", "dynamics gives tuple: expected State"),
    Integers: ("form", "z has dtype .*bool"),
    OtherReset: ("cut of the reset", "may detach a path, not change a value"),
    Still: ("alive", "z does not move under noise"),
}


QUICK = ("alif", "cuba_lif", "lstm")
"""Spikes with an adaptation, spikes behind a synapse, and gates; the others are left to `make proofs`."""


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n not in QUICK)) for n in sorted(CELLS)])
def test_every_cell_of_neko_holds(name):
    report = neko.verify(CELLS[name], backends=["torch"])
    assert report.ok, report
    measured = {check.name: check for check in report.checks}
    for oracle in ORACLES:
        assert measured[oracle].value < 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(CELLS))
def test_every_cell_of_neko_holds_on_all_backends(name):
    report = neko.verify(CELLS[name])
    assert report.ok, report
    assert {check.backend for check in report.checks} == set(backends.installed())


OTHERS = [name for name in backends.installed() if name != "torch"]


@pytest.mark.slow
@pytest.mark.parametrize("backend", OTHERS)
def test_a_backend_is_held_against_the_first(backend):
    report = neko.verify(Own, backends=["torch", backend])
    assert report.ok, report
    names = [check.name for check in report.checks if check.backend == backend]
    assert {"BPTT = torch", "outputs = torch"} <= set(names)


@pytest.mark.slow
def test_constants_by_neuron_and_many_neurons():
    mixed = ALIF(5, beta=[0.0, 0.1, 0.2, 0.3, 0.4], tau_m=[5.0, 10.0, 20.0, 30.0, 40.0])
    assert neko.verify(mixed, backends=["torch"]).ok
    five = [1.0, 2.0, 3.0, 4.0, 5.0]
    adex = AdEx(5, tau_m=[10.0 * v for v in five], delta_t=five, a=five, b=five, v_t=[v - 55.0 for v in five])
    assert neko.verify(adex, backends=["torch"]).ok
    dendritic = Dendritic(5, t_ref=[0, 1, 2, 2.5, 3], coupling=[0.1 * v for v in five], slope=five, threshold=five)
    assert neko.verify(dendritic, backends=["torch"]).ok
    assert neko.verify(LIF(40), backends=["torch"]).ok


@pytest.mark.parametrize("cell", BROKEN, ids=lambda cell: cell.__name__)
def test_a_broken_cell_is_found_out(cell):
    name, reason = BROKEN[cell]
    report = neko.verify(cell, backends=["torch"])
    assert not report.ok
    (first, *_) = report.failures
    assert first.name == name, report
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(first.reason)
    assert first.reason in str(report)
    if name != "cut of the reset":
        assert all(check.holds is None for check in report.checks if check.name in ORACLES), "rests on what is broken"


@pytest.mark.slow
@pytest.mark.quick("tensorflow")
@pytest.mark.parametrize("backend", OTHERS)
def test_broken_cells_are_found_out_elsewhere(backend):
    for cell in (HiddenDerivative, BareThreshold, Overflows):
        (first, *_) = neko.verify(cell, backends=[backend]).failures
        assert first.name == BROKEN[cell][0]


def test_a_wrong_eprop_would_be_seen(monkeypatch):
    """The control: the truth with other cuts is another gradient."""
    from neko.verification.oracles import gradients as oracles

    def exact(xp, evaluator, cells, *data, feedback):
        return neko.BPTT(evaluator, jit=False).gradients(*data)[1]

    monkeypatch.setattr(oracles, "eprop_by_autodiff", exact)
    (first, *_) = neko.verify(Own, backends=["torch"]).failures
    assert first.name == "eprop:symmetric = cut autodiff"
    assert first.value > 1e-3


def test_what_is_no_cell_is_refused():
    for wrong in (3, "lif", object, neko.LIF(4, 2, "torch")):
        with pytest.raises(TypeError, match=r"expected a neko\.cells\.Cell"):
            neko.verify(wrong)
    with pytest.raises(ValueError, match="'torch', 'jax', 'tensorflow'"):
        neko.verify(Own, backends=["pytorch"])
    with pytest.raises(ValueError, match="expected names"):
        neko.verify(Own, backends="torch")


def command(*arguments):
    result = CliRunner().invoke(app, ["verify", *map(str, arguments)])
    return result.exit_code, " ".join(result.output.split())


def test_the_example_holds_by_the_command():
    code, output = command(f"{EXAMPLE}:TwoCurrentAdEx", "--backend", "torch")
    assert code == 0, output
    assert "rtrl = bptt" in output
    assert "FAILED" not in output


def test_the_command_names_what_is_wrong(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(
        "from neko.cells import LIF\nclass Own(LIF):\n    v = 1\nraised = None\nsmall = LIF(3)\n"
    )
    Path("broken.py").write_text("1 / 0\n")
    Path("silent.py").write_text("from neko.cells import LIF\nquiet = LIF(4, v_th=1e9)\n")
    assert command("mine:small", "--backend", "torch")[0] == 0
    code, output = command("silent.py:quiet", "--backend", "torch")
    assert code == 1
    assert "silent" in output
    for arguments, words in (
        (["mine:Other"], "mine has no 'Other': expected one of ['Own']"),
        (["mine"], "expected module:Name or file.py:Name"),
        (["nowhere:Own"], "module 'nowhere' cannot be imported"),
        (["nowhere.py:Own"], "no file 'nowhere.py'"),
        (["broken.py:Own"], "ZeroDivisionError"),
        (["mine:raised"], "expected a neko.cells.Cell"),
        (["mine:small", "--backend", "pytorch"], "'torch', 'jax', 'tensorflow'"),
    ):
        code, output = command(*arguments)
        assert code == 2, output
        assert words in output


def test_a_report_says_whether_kernels_are_generated():
    pytest.importorskip("numba")
    (check,) = (c for c in neko.verify(LIF, backends=["torch"]).checks if "kernels" in c.name)
    assert check.name == "kernels = step"
    assert check.value <= 1e-12

    class Flipped(Own):
        def dynamics(self, xp, state, current):
            return super().dynamics(xp, state, xp.flip(xp.flip(current, axis=0), axis=0))

    report = neko.verify(Flipped, backends=["torch"])
    assert report.ok, report
    (check,) = (c for c in report.checks if "kernels" in c.name)
    assert "xp.flip" in check.reason
