"""Networks as modules of PyTorch and as ONNX: the same spikes, with nothing of Neko in them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
from typer.testing import CliRunner

import neko
from neko.cells import CELLS, Cell
from neko.cli import app
from neko.errors import ExchangeError
from neko.exchange import stepwise

torch = pytest.importorskip("torch")
exporting = pytest.importorskip("neko.exchange.torch_module")
X = (np.random.default_rng(0).random((5, 40, 6)) < 0.3).astype(np.float32)
WITHOUT_NEKO = """
import sys
sys.modules["neko"] = None
import numpy as np, torch
from torch.export.pt2_archive._package import load_pt2
given = np.load(sys.argv[1])
step = torch.export.load(sys.argv[2]).module()
found = {name: program.module() for name, program in load_pt2(sys.argv[2]).exported_programs.items()}
x = torch.tensor(given["x"])
y, last = found["sequence"](x)
np.testing.assert_allclose(y.detach(), given["y"], rtol=0, atol=1e-4)
state, one = found["rest"](x[:1, 0]), []
for t in range(x.shape[1]):
    z, state = step(x[:1, t], state)
    one.append(z)
np.testing.assert_allclose(torch.stack(one, 1).detach(), y[:1].detach(), rtol=0, atol=1e-4)
for name, value in last.items():
    np.testing.assert_allclose(value.detach(), given[name], rtol=0, atol=1e-4)
print(sorted(name for name, _ in step.named_parameters()))
"""
VARIANTS = {
    "constants of every neuron": lambda: neko.cells.ALIF(12, tau_m=list(np.linspace(3, 9, 12)), beta=0.1, t_ref=2.0),
    "constants that learn": lambda: neko.cells.CubaLIF(12, tau_m=neko.Learnable(9.0), bias=True, reset="zero"),
}


def network(cell, xp="torch", **options):
    model = neko.Model([cell, neko.cells.LIF(7)], 3, xp, **options).build(6)
    model.params = {name: 2.0 * w for name, w in model.params.items()}
    return model


def stepped(model, x):
    """Outputs (batch, time, outputs) and the states at every step, by the program of one step."""
    xp, program, *_ = exporting.step_program(stepwise.check(model))
    module, state, ys, states = program.module(), stepwise.rest(xp, model.network, len(x)), [], []
    for now in torch.tensor(x).unbind(1):
        y, state = module(now, state)
        ys.append(y)
        states.append(state)
    traces = {name: torch.stack([s[name] for s in states], 1).detach().numpy() for name in states[0]}
    return torch.stack(ys, 1).detach().numpy(), traces


def compare(model, y, traces):
    """Spikes equal bit for bit, all else to rounding."""
    np.testing.assert_allclose(y, model.predict(X), rtol=0, atol=2e-5)
    for i, (cell, states) in enumerate(zip(model.network.cells, model.record(X), strict=True)):
        for field, value in states._asdict().items():
            found = traces.get(f"layers.{i}.{field}")
            assert (found is None) == (value is None)
            if cell.spiking and field == "z":
                assert 0.01 < value.mean() < 0.9
                np.testing.assert_array_equal(found, value)
            elif value is not None:
                np.testing.assert_allclose(found, value, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in ("lif", "gru") else pytest.mark.slow) for name in CELLS]
)
def test_steps_of_every_cell_are_those_of_the_backend(name):
    model = network(CELLS[name](12))
    compare(model, *stepped(model, X))


@pytest.mark.parametrize("variant", [pytest.param(name, marks=pytest.mark.slow) for name in VARIANTS])
def test_steps_with_other_constants(variant):
    model = network(VARIANTS[variant]())
    compare(model, *stepped(model, X))


@pytest.mark.slow
def test_steps_with_converters():
    model = network(neko.cells.LIF(12), converters=neko.Converters(adc=neko.Quantiser(8, 4.0)))
    compare(model, *stepped(model, X))


@pytest.mark.parametrize("backend", [pytest.param(name, marks=pytest.mark.slow) for name in ("jax", "tensorflow")])
def test_steps_of_a_network_of_another_backend(backend):
    pytest.importorskip(backend)
    model = network(neko.cells.LIF(12), backend)
    compare(model, *stepped(model, X))


@pytest.mark.slow
@pytest.mark.parametrize("name", CELLS)
def test_a_file_is_loaded_where_neko_is_not(name, tmp_path):
    model = network(CELLS[name](12))
    neko.exchange.to_torch(model, tmp_path / "net.pt2")
    last = {
        f"layers.{i}.{field}": value[:, -1]
        for i, states in enumerate(model.record(X))
        for field, value in states._asdict().items()
        if value is not None
    }
    last |= {"readout.f": model.predict(X)[:, -1]} if model.network.readout.kappa else {}
    np.savez(tmp_path / "given.npz", x=X, y=model.predict(X), **last)
    ran = [sys.executable, "-W", "ignore", "-c", WITHOUT_NEKO, str(tmp_path / "given.npz"), str(tmp_path / "net.pt2")]
    done = subprocess.run(ran, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(sorted(model.params))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "lif" else pytest.mark.slow) for name in CELLS]
)
def test_steps_of_onnx_are_those_of_the_backend(name, tmp_path):
    pytest.importorskip("onnxscript")
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    model = network(CELLS[name](12))
    path = neko.exchange.to_onnx(model, tmp_path / "net.onnx")
    made = onnx.load(path)
    onnx.checker.check_model(made, full_check=True)
    assert [(o.domain, o.version) for o in made.opset_import] == [("", 18)]
    assert b"neko" not in path.read_bytes()
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    rest = {p.key.removeprefix("rest."): np.float32(p.value.split()) for p in made.metadata_props}
    state = {i.name: np.zeros((5, i.shape[1]), np.float32) + rest.get(i.name, 0.0) for i in session.get_inputs()[1:]}
    ys, states, names = [], [], ["y", *(f"{key}.next" for key in state)]
    for now in X.swapaxes(0, 1):
        y, *after = session.run(names, {"x": now, **state})
        state = dict(zip(state, after, strict=True))
        ys.append(y)
        states.append(state)
    compare(model, np.stack(ys, 1), {key: np.stack([s[key] for s in states], 1) for key in state})


@dataclass(frozen=True, eq=False)
class Branching(Cell):
    """A cell that decides by a value, which no program can."""

    State = neko.cells.LIF.State

    def dynamics(self, xp, state, current):
        v = state.v + (current if float(xp.sum(state.v)) > 0.0 else 2.0 * current)
        return self.State(v, v, v)


def test_what_has_no_step_is_refused():
    with pytest.raises(ExchangeError, match="network of cells"):
        neko.exchange.to_torch(torch.nn.Linear(2, 2))
    with pytest.raises(ExchangeError, match="no weights"):
        neko.exchange.to_torch(neko.LIF(3, 2, "torch"))
    with pytest.raises(ExchangeError, match="one direction"):
        neko.exchange.to_torch(neko.LIF(3, 2, "torch", bidirectional=True).build(2))
    with pytest.raises(ExchangeError, match=r"Branching.*cannot trace"):
        neko.exchange.to_torch(neko.Model(Branching(3), 2, "torch").build(2))


def test_without_the_packages_the_extra_is_named(monkeypatch):
    import neko.exchange.onnx as module

    found = module.importlib.util.find_spec
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None if "onnx" in name else found(name))
    with pytest.raises(ImportError, match=r"neko-learning\[onnx\]"):
        neko.exchange.to_onnx(neko.LIF(3, 2, "torch").build(2), "net.onnx")


def test_a_format_must_be_given():
    result = CliRunner().invoke(app, ["export", "nowhere"])
    assert result.exit_code == 2
    assert "--torch" in result.output


@pytest.mark.slow
def test_the_command_writes_both(tmp_path):
    pytest.importorskip("onnxscript")
    neko.exchange.save_network(network(neko.cells.LIF(4)), tmp_path / "net.safetensors")
    paths = [tmp_path / "net.pt2", tmp_path / "net.onnx"]
    options = ["--torch", str(paths[0]), "--onnx", str(paths[1])]
    result = CliRunner().invoke(app, ["export", str(tmp_path / "net.safetensors"), *options])
    assert result.exit_code == 0, result.output
    assert all(path.stat().st_size > 1000 for path in paths)
