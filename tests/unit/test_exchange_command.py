"""``neko import`` and ``neko export``, the file between them, and the training of a network that was imported."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

import neko
from neko.cells import LIF, CubaLIF
from neko.cli import app
from neko.errors import CheckpointError, ExchangeError
from neko.exchange import from_nir, load_network, save_network
from neko.io import checkpoint, nir

import few_digits
from nir_graphs import graph, lif

pytest.importorskip("h5py")
pytest.importorskip("nir")


def run(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)])


def digits(folder, hidden=8):
    """A file of a network that fits the digits: 64 inputs and 10 outputs."""
    rng = np.random.default_rng(0)
    made = graph(
        "inp w, w a, a v, v a, a out_w, out_w out",
        inp=("Input", {"shape": [64]}),
        w=("Affine", {"weight": rng.standard_normal((hidden, 64)), "bias": rng.standard_normal(hidden)}),
        v=("Linear", {"weight": 0.3 * rng.standard_normal((hidden, hidden))}),
        a=lif(hidden),
        out_w=("Linear", {"weight": rng.standard_normal((10, hidden))}),
        out=("Output", {"shape": [10]}),
    )
    return nir.write(folder / "net.nir", made)


def test_a_network_is_imported_trained_and_exported(tmp_path):
    file = digits(tmp_path)
    result = run("import", file, "--dt", 1)
    assert result.exit_code == 0, result.output
    for word in ("decays by exponential", "tau 20 ms (decay 0.9512)", "its own spikes come one step later"):
        assert word in " ".join(result.output.split())
    network = tmp_path / "net.safetensors"
    options = ["--network", network, "--data", few_digits.DATA, "--epochs", 1, "--dtype", "float64"]
    result = run("train", *options, "--learning-rate", 0, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    result = run("export", tmp_path / "run", "--nir", tmp_path / "again.nir")
    assert result.exit_code == 0, result.output
    first, again = (from_nir(path, "torch", dt=1.0).model for path in (file, tmp_path / "again.nir"))
    assert first.params.keys() == again.params.keys()
    for name, w in first.params.items():
        np.testing.assert_array_equal(again.params[name], w, err_msg=name)
    assert run("export", network, "--nir", tmp_path / "third.nir").exit_code == 0
    assert (tmp_path / "third.nir").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["import", "net.nir"], "a NIR graph has no dt: expected dt=…, the length of a step in ms"),
        (["import", "net.nir", "--dt", "30", "--method", "euler"], "node 'a': forward Euler with dt=30.0 ms"),
        (["import", "none.nir", "--dt", "1"], "no file 'none.nir'"),
        (["export", "net.nir", "--nir", "x.nir"], "net.nir is truncated or no safetensors file"),
        (["export", "none", "--nir", "x.nir"], "no checkpoint at none"),
        (["train", "--network", "net.nir"], "net.nir is truncated or no safetensors file"),
    ],
)
def test_what_cannot_be_done_is_said(arguments, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    digits(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 2
    assert told in " ".join(result.output.split())
    assert not (tmp_path / "x.nir").exists()


def test_a_network_of_other_outputs_is_refused(tmp_path):
    model = neko.Model(LIF(4), 3, "torch").build(8)
    save_network(model, tmp_path / "net.safetensors")
    result = run("train", "--network", tmp_path / "net.safetensors", "--epochs", 1, "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "has 3 outputs: this data set needs 10" in " ".join(result.output.split())


@pytest.mark.quick("torch")
def test_a_network_in_a_file_is_the_same_on_every_backend(xp, tmp_path):
    cells = [CubaLIF(4, tau_m=[5.0, 6.0, 7.0, 8.0], bias=True), LIF(3, reset="zero", tau_m=float("inf"))]
    model = neko.Model(cells, 2, "torch", tau_out=None, task_type="regression").build(3)
    save_network(model, tmp_path / "net.safetensors")
    again = load_network(tmp_path / "net.safetensors", xp)
    assert again.identity() == model.identity()
    for name, w in model.params.items():
        np.testing.assert_array_equal(xp.to_numpy(again.params[name]), w.numpy().astype(float), err_msg=name)


def test_what_a_file_cannot_hold_is_refused(tmp_path):
    for cell in (LIF(3, surrogate="arctan"), LIF(3, tau_m=neko.Learnable(20.0))):
        with pytest.raises(ExchangeError, match="is not a plain value"):
            save_network(neko.Model(cell, 2, "torch").build(3), tmp_path / "net.safetensors")
    with pytest.raises(ExchangeError, match="expected a built neko"):
        save_network(neko.Model(LIF(3), 2, "torch"), tmp_path / "net.safetensors")


@pytest.mark.parametrize(
    "change",
    [
        {"cell": "evil.py:Cell"},
        {"options": {"surrogate": "evil.py:psi"}},
        {"options": {"tau_m": {"evil": 1}}},
        {"units": 10**12},
        {"options": None},
    ],
)
def test_a_description_never_runs_a_file(change, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").write_text("open('hacked', 'w')\nclass Cell: ...\ndef psi(u): ...\n")
    path = save_network(neko.Model(LIF(3), 2, "torch").build(3), tmp_path / "net.safetensors")
    state = checkpoint.read(path)
    state["network"]["cells"][0] |= change
    checkpoint.write(path, state)
    with pytest.raises(CheckpointError, match="holds no network, as `neko import` writes it"):
        load_network(path, "torch")
    assert not (tmp_path / "hacked").exists()
