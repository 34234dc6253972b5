"""Folders by the habits of model hubs: what is saved is loaded, and nothing in them is run."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import yaml
from safetensors.numpy import load, load_file, save_file
from typer.testing import CliRunner

import neko
from neko.cells import CELLS
from neko.cli import app
from neko.errors import CheckpointError, ExchangeError

import few_digits

pytest.importorskip("torch")
X = np.random.default_rng(0).standard_normal((3, 20, 5)).astype(np.float32)


def saved(folder, cell="lif", **options):
    model = neko.Model(CELLS[cell](7), 4, "torch").build(5)
    evaluator = neko.Evaluator(model, "categorical_crossentropy", ["accuracy"], target="last", **options)
    neko.save_pretrained(
        evaluator, folder, licence="cc-by-4.0", rule="eprop", data="digits", measures={"test accuracy": 0.91}
    )
    return evaluator


@pytest.mark.parametrize("cell", CELLS)
def test_every_network_is_loaded_as_it_was(cell, tmp_path):
    evaluator = saved(tmp_path / "net", cell)
    assert sorted(p.name for p in (tmp_path / "net").iterdir()) == ["README.md", "config.json", "model.safetensors"]
    again = neko.load_pretrained(tmp_path / "net", backend="torch")
    for a, b in zip(again.model.record(X)[0], evaluator.model.record(X)[0], strict=True):
        np.testing.assert_array_equal(a, b)
    assert again.identity() == evaluator.identity()
    assert load_file(tmp_path / "net" / "model.safetensors").keys() == evaluator.params.keys()


@pytest.mark.parametrize("backend", [pytest.param(name, marks=pytest.mark.slow) for name in ("jax", "tensorflow")])
def test_another_backend_predicts_the_same(backend, tmp_path):
    pytest.importorskip(backend)
    evaluator = saved(tmp_path)
    again = neko.load_pretrained(tmp_path, backend=backend)
    assert again.xp.name == backend
    np.testing.assert_allclose(again.predict(X), evaluator.predict(X), rtol=1e-4, atol=1e-5)


def test_options_of_an_evaluator_are_kept(tmp_path):
    evaluator = saved(
        tmp_path,
        encoder="rate(steps=3, low=-2.0)",
        regularizer=neko.FiringRate(20.0, 0.1),
        reduction="sum",
        from_logits=True,
    )
    again = neko.load_pretrained(tmp_path, backend="torch")
    assert again.identity() == evaluator.identity()
    assert again.encoder == evaluator.encoder


def test_a_network_alone(tmp_path):
    cells = [neko.cells.ALIF(6, beta=[0.0] * 3 + [0.2] * 3), neko.cells.LSTM(3)]
    model = neko.Model(cells, 2, neko.backend.get("torch", dtype="float64"), task_type="classification").build(5)
    neko.save_pretrained(model, tmp_path)
    again = neko.load_pretrained(tmp_path, backend="torch")
    assert again.xp.dtype_name == "float64"
    assert again.identity() == model.identity()
    for name, w in model.params.items():
        np.testing.assert_array_equal(again.params[name], w)


def test_the_card_is_for_people_and_for_hubs(tmp_path):
    saved(tmp_path / "my net")
    _, head, text = (tmp_path / "my net" / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(head)["license"] == "cc-by-4.0"
    assert yaml.safe_load(head)["library_name"] == "neko"
    for word in ("# my net", "LIF(7)", "eprop", "digits", "0.91", neko.__version__, "load_pretrained", "| loss |"):
        assert word in text
    model = neko.LIF(3, 2, "torch").build(2)
    neko.save_pretrained(model, tmp_path / "plain", licence='odd: "one" |\n- two')
    _, head, text = (tmp_path / "plain" / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(head)["license"] == 'odd: "one" |\n- two'
    assert '| licence | odd: "one" \\| - two |' in text


def change(folder, *path, value):
    """The configuration with another value at a path."""
    config = json.loads((folder / "config.json").read_text())
    part = config
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("library",), "other", "not written by neko"),
        (("format",), 2, "reads up to 1"),
        (("format",), "1", "reads up to 1"),
        (("dtype",), "float16", "float16"),
        (("dtype",), "float64", "the weights are"),
        (("network", "cells", 0, "cell"), "own.py:Cell", "own.py:Cell"),
        (("network", "cells", 0, "cell"), "gru", "holds no network"),
        (("network", "cells", 0, "units"), 10**12, "1000000000000"),
        (("network", "cells", 0, "options"), {"tau_m": -1.0}, "tau_m=-1.0"),
        (("network", "cells", 0, "options"), {"surrogate": "own.py:f"}, "surrogate"),
        (("network", "cells", 0, "options"), {"v_th": [[1.0]]}, "plain values"),
        (("network", "cells"), [], "holds no network"),
        (("network", "readout"), {"tau_out": "long"}, "tau_out"),
        (("network",), None, "holds no network"),
        (("evaluator", "loss"), "own.py:loss", "own.py:loss"),
        (("evaluator", "metrics"), ["own.py:metric"], "own.py:metric"),
        (("evaluator", "encoder"), {"name": "own.py:Code", "options": {}}, "own.py:Code"),
        (("evaluator", "encoder"), {"name": "rate", "options": {"steps": -3}}, "steps=-3"),
        (("evaluator", "target"), "first", "target='first'"),
        (("evaluator", "more"), 1, "'more'"),
    ],
)
def test_other_configurations_are_refused(path, value, told, tmp_path):
    saved(tmp_path)
    change(tmp_path, *path, value=value)
    with pytest.raises(CheckpointError, match=told):
        neko.load_pretrained(tmp_path, backend="torch")


def test_damaged_files_are_refused(tmp_path):
    saved(tmp_path)
    weights, config = tmp_path / "model.safetensors", tmp_path / "config.json"
    good, text = weights.read_bytes(), config.read_bytes()
    marker = tmp_path / "ran"
    for content in (good[:-9], b"", b"\xff" * 100, pickle.dumps(marker), (2**62).to_bytes(8, "little") + good[8:]):
        weights.write_bytes(content)
        with pytest.raises(CheckpointError, match="no safetensors"):
            neko.load_pretrained(tmp_path)
    tensors = {name: w.copy() for name, w in load(good).items()}
    for name, w in (("layers.0.w_in", np.zeros((5, 8), np.float32)), ("readout.b_out", np.full(4, np.nan, np.float32))):
        save_file({**tensors, name: w}, weights)
        with pytest.raises(CheckpointError, match="holds no network"):
            neko.load_pretrained(tmp_path)
    save_file({name: w for name, w in tensors.items() if name != "layers.0.w_rec"}, weights)
    with pytest.raises(CheckpointError, match=r"the weights are|weights, [0-9]+ are there"):
        neko.load_pretrained(tmp_path)
    weights.write_bytes(good)
    for content in (text[:-20], b"[]", b"[" * 100_000, b"\xff", b" " * (2**20 + 1)):
        config.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"JSON|neko|bytes|UTF-8"):
            neko.load_pretrained(tmp_path)
    config.unlink()
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        neko.load_pretrained(tmp_path)


def test_what_needs_its_code_is_not_saved(tmp_path):
    import torch

    def own(xp, outputs, target):
        return xp.sum(xp.abs(outputs - target), axis=-1)

    model = neko.LIF(3, 2, "torch").build(2)
    weighted = neko.Evaluator(model, "categorical_crossentropy", class_weights=[1.0, 2.0])
    refused = [
        (neko.Evaluator(model, own), "loss 'own'"),
        (weighted, "without class weights"),
        (neko.Evaluator(model, "categorical_crossentropy", [neko.metrics.top_k(2)]), "top_2_accuracy"),
        (neko.Evaluator(torch.nn.Linear(3, 2), "mean_squared_error"), "Linear"),
        (neko.LIF(3, 2, "torch", surrogate=lambda u: u).build(2), "surrogate"),
        (neko.LIF(3, 2, "torch"), "built"),
        (neko.LIF(3, 2, "torch", bidirectional=True).build(2), "one direction"),
        (neko.LIF(3, 2, "torch", converters=neko.Converters(adc=neko.Quantiser(8, 1.0))).build(2), "converters"),
    ]
    for thing, told in refused:
        with pytest.raises(ExchangeError, match=told):
            neko.save_pretrained(thing, tmp_path / "net")
    assert not (tmp_path / "net").exists()
    with pytest.raises(TypeError, match="licence=3"):
        neko.save_pretrained(model, tmp_path / "net", licence=3)


@pytest.mark.slow
def test_a_run_is_exported_with_its_card(tmp_path):
    options = ["--epochs", "1", "--backend", "torch", "--out", str(tmp_path / "run")]
    assert CliRunner().invoke(app, ["train", "--data", few_digits.DATA, *options]).exit_code == 0
    options = ["--hub", str(tmp_path / "hub"), "--licence", "mit"]
    found = CliRunner().invoke(app, ["export", str(tmp_path / "run"), *options])
    assert found.exit_code == 0, found.output
    card = (tmp_path / "hub" / "README.md").read_text()
    for word in ("eprop", "few_digits", "test accuracy", 'license: "mit"'):
        assert word in card
    again, first = neko.load_pretrained(tmp_path / "hub", backend="torch"), neko.runs.load(tmp_path / "run").rule.model
    x = np.random.default_rng(0).random((5, 8, first.model.n_in))
    np.testing.assert_array_equal(again.predict(x), first.predict(x))
