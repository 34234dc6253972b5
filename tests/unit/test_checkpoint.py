"""Files of a state: what is written is read, what is not whole is refused, and nothing that was there is lost."""

from __future__ import annotations

import ast
import errno
import json
import math
import os
from pathlib import Path

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save, save_file

import neko
from neko import backend as backends
from neko.errors import CheckpointError
from neko.models import weights as checkpoint

QUICK = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SOURCES = Path(neko.__file__).parent
STATE = {
    "kind": "other",
    "weights": {"w": np.arange(12.0).reshape(3, 4), "b": np.array([1, 2], np.int8)},
    "steps": 7,
    "rate": 1e-3,
    "note": "é\n'\"",
    "best": math.inf,
    "none": None,
}
DTYPES = [np.dtype(kind) for kind in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?")]


def arrays():
    shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
    whole = st.sampled_from(DTYPES).flatmap(lambda dtype: hnp.arrays(dtype, shapes))
    views = st.sampled_from([lambda a: a, lambda a: a.T, lambda a: a[..., ::-1] if a.ndim else a])
    return st.builds(lambda a, view: view(a), whole, views)


def states():
    words = st.text(st.characters(codec="utf-8"), max_size=6)
    leaves = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | words | arrays()
    nested = st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
        max_leaves=12,
    )
    return st.dictionaries(words, nested, max_size=4)


def same(a, b):
    """Equal in value and kind, NaN equal to itself."""
    if isinstance(a, np.ndarray):
        assert isinstance(b, np.ndarray)
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert np.ascontiguousarray(a).tobytes() == b.tobytes()
    elif isinstance(a, dict):
        assert isinstance(b, dict)
        assert list(a) == list(b)
        for name in a:
            same(a[name], b[name])
    elif isinstance(a, list):
        assert isinstance(b, list)
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    else:
        assert type(a) is type(b)
        assert repr(a) == repr(b)


@QUICK
@given(states())
def test_what_is_written_is_read(tmp_path, state):
    same(state, checkpoint.read(checkpoint.write(tmp_path / "a.safetensors", state)))


@pytest.mark.parametrize("name", ["__metadata__", "", "a/b", "a'", "$tensors"])
def test_names_that_could_be_taken_for_others(name, tmp_path):
    state = {name: np.ones(2), "a": {"b": np.zeros(1), name: np.ones(3)}, "$tensor": 1}
    same(state, checkpoint.read(checkpoint.write(tmp_path / "a.safetensors", state)))


def test_the_order_of_bytes_is_the_machines(tmp_path):
    found = checkpoint.read(checkpoint.write(tmp_path / "a.safetensors", {"a": np.arange(3, dtype=">f4")}))["a"]
    assert found.dtype == np.dtype("f4")
    assert found.tolist() == [0.0, 1.0, 2.0]


CANNOT_HOLD = {
    "object": object(),
    "key that is no string": {1: 2},
    "dict like a tensor": {"$tensor": "part"},
    "tuple": (1, 2),
    "set": {1, 2},
    "bytes": b"bytes",
    "array of objects": np.array([object()]),
    "array of strings": np.array(["a"]),
    "array of complex": np.ones(2, complex),
    "complex": 1j,
}


@pytest.mark.parametrize("part", CANNOT_HOLD.values(), ids=CANNOT_HOLD)
def test_what_a_file_cannot_hold_is_named(part, tmp_path):
    path = checkpoint.write(tmp_path / "a.safetensors", STATE)
    with pytest.raises(CheckpointError, match="state 'part'"):
        checkpoint.write(path, {"part": part})
    same(STATE, checkpoint.read(path))
    assert os.listdir(tmp_path) == ["a.safetensors"]


def refused(path, data, words="is|was|has|holds"):
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=words) as caught:
        checkpoint.read(path)
    assert str(path) in str(caught.value)


def whole(tmp_path):
    return checkpoint.write(tmp_path / "whole.safetensors", STATE).read_bytes()


def test_a_file_cut_anywhere_is_refused(tmp_path):
    data = whole(tmp_path)
    for length in range(len(data)):
        refused(tmp_path / "cut.safetensors", data[:length], "truncated or no safetensors")
    refused(tmp_path / "cut.safetensors", data + b"\0", "truncated or no safetensors")
    refused(tmp_path / "cut.safetensors", bytes(len(data)), "truncated or no safetensors")


def test_a_byte_changed_anywhere_is_refused(tmp_path):
    """Every byte of the file, by its lowest and its highest bit and to a random value."""
    data, rng = whole(tmp_path), np.random.default_rng(0)
    for offset in range(len(data)):
        for flip in (1, 128, int(rng.integers(1, 256))):
            altered = bytearray(data)
            altered[offset] ^= flip
            try:
                refused(tmp_path / "flipped.safetensors", bytes(altered))
            except pytest.fail.Exception:
                # The header is text: "\u00e9" with a capital E, or a blank of another kind, says the same.
                same(STATE, checkpoint.read(tmp_path / "flipped.safetensors"))
                assert bytes(altered[offset : offset + 1]).isspace() or data[offset - 5 : offset].count(b"u00")


def header(data):
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def edited(tmp_path, change):
    """The file with another JSON of neko, its tensors as they were."""
    data = whole(tmp_path)
    head = json.loads(header(data)[0]["__metadata__"]["neko"])
    head = change(head) or head
    return save(load(data), {"neko": head if isinstance(head, str) else json.dumps(head)})


def put(head, *path, value):
    for name in path[:-1]:
        head = head[name]
    head[path[-1]] = value


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda head: put(head, "state", "steps", value=8), "SHA-256"),
        (lambda head: put(head, "state", "weights", value={}), "SHA-256"),
        (lambda head: put(head, "state", "more", value=1), "SHA-256"),
        (lambda head: put(head, "neko", value="9.9"), "SHA-256"),
        (lambda head: put(head, "digest", value="0" * 64), "SHA-256"),
        (lambda head: put(head, "digest", value=None), "SHA-256"),
        (lambda head: put(head, "format", value=2), "layout 2.*update neko"),
        (lambda head: put(head, "format", value="1"), "layout '1'"),
        (lambda head: head.pop("digest") and None, "was altered: its header"),
        (lambda head: head.pop("format") and None, "was altered: its header"),
        (lambda head: head.pop("state") and None, "SHA-256"),
        (lambda head: "{", "was altered: its header"),
        (lambda head: "[]", "was altered: its header"),
        (lambda head: "3", "was altered: its header"),
        (lambda head: "[" * 100_000, "was altered: its header"),
    ],
)
def test_an_edited_header_is_refused(change, words, tmp_path):
    refused(tmp_path / "edited.safetensors", edited(tmp_path, change), words)


def test_an_edited_tensor_is_refused(tmp_path):
    data = whole(tmp_path)
    metadata = header(data)[0]["__metadata__"]
    for change in (
        lambda t: t | {"weights/b": t["weights/b"] + 1},
        lambda t: t | {"weights/b": t["weights/b"].astype(np.int16)},
        lambda t: t | {"weights/w": t["weights/w"].reshape(4, 3)},
        lambda t: t | {"more": np.ones(1)},
        lambda t: {"weights/w": t["weights/w"]},
    ):
        refused(tmp_path / "edited.safetensors", save(change(load(data)), metadata), "SHA-256")


def test_foreign_files_are_refused(tmp_path):
    path = tmp_path / "foreign.safetensors"
    save_file({"w": np.ones(2)}, path)
    refused(path, path.read_bytes(), "not written by neko")
    for data in (b"", b"PK\x03\x04", b"\x80\x04\x95", b"\x89PNG\r\n\x1a\n" + bytes(100), b"text" * 50):
        refused(path, data, "truncated or no safetensors")
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        checkpoint.read(tmp_path / "nothing.safetensors")
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        checkpoint.read(tmp_path)


def full(*args, **kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def stopped(*args, **kwargs):
    raise KeyboardInterrupt


class Half:
    """A file that takes half of what is written, then fails."""

    def __init__(self, file, fail):
        self.file, self.fail = file, fail

    def __enter__(self):
        return self

    def __exit__(self, *caught):
        self.file.close()

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, data):
        self.file.write(data[: len(data) // 2])
        self.fail()


def failing(monkeypatch, stage, fail):
    if stage == "open":
        monkeypatch.setattr(Path, "open", fail)
    elif stage == "write":
        opened = Path.open
        monkeypatch.setattr(Path, "open", lambda self, *mode: Half(opened(self, *mode), fail))
    else:
        monkeypatch.setattr(os, stage, fail)


@pytest.mark.parametrize("fail", [full, stopped])
@pytest.mark.parametrize("stage", ["open", "write", "fsync", "replace"])
def test_a_write_that_fails_leaves_what_was_there(stage, fail, tmp_path, monkeypatch):
    path = checkpoint.write(tmp_path / "a.safetensors", STATE)
    with monkeypatch.context() as patched:
        failing(patched, stage, fail)
        with pytest.raises((OSError, KeyboardInterrupt)) as caught:
            checkpoint.write(path, {"other": np.zeros(100)})
    if fail is full:
        assert caught.value.errno == errno.ENOSPC
        assert "not written: No space left" in str(caught.value)
        assert str(path) in str(caught.value)
    same(STATE, checkpoint.read(path))
    assert os.listdir(tmp_path) == ["a.safetensors"]
    same({"n": 1}, checkpoint.read(checkpoint.write(path, {"n": 1})))


def test_a_disk_that_is_full_keeps_the_last_good_checkpoint(tmp_path, monkeypatch):
    """Through the trainer: the run ends with the error, and goes on once there is space."""
    x, y = np.ones((4, 3, 2), np.float32), np.eye(2)[[0, 1, 0, 1]]

    def run(epochs):
        model = neko.Evaluator(neko.RNN(3, 2, "torch"), "categorical_crossentropy")
        keep = neko.Checkpoints(tmp_path / "kept", resume=True)
        trainer = neko.Trainer(neko.BPTT(model))
        return trainer.train(x, y, batch_size=2, epochs=epochs, callbacks=[keep], progress=False)

    run(2)
    with monkeypatch.context() as patched:
        failing(patched, "fsync", full)
        with pytest.raises(OSError, match="not written: No space left on device; make room there"):
            run(4)
    assert len(checkpoint.listed(tmp_path / "kept")) == 2 == len(list((tmp_path / "kept").iterdir()))
    found = run(4)
    model = neko.Evaluator(neko.RNN(3, 2, "torch"), "categorical_crossentropy")
    plain = neko.Trainer(neko.BPTT(model)).train(x, y, batch_size=2, epochs=4, progress=False)
    assert found == plain


def test_no_pickle():
    """No source of neko names pickle, or what uses it, but where it is refused (allow_pickle=False)."""
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {n.split(".")[0] for n in names} & {"pickle", "dill", "cloudpickle", "joblib", "shelve"}, path
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert isinstance(node.value, ast.Constant), path
                assert node.value.value is False, path
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert (node.value.id, node.attr) not in {("torch", "load"), ("torch", "save")}, path


X = np.random.default_rng(0).random((3, 9, 4))


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float64", 1e-12)])
def test_weights_move_between_all_backends(dtype, tolerance, tmp_path):
    """A trained RNN's outputs; spikes would turn rounding into steps."""
    models = {}
    for name in backends.installed():
        models[name] = neko.RNN(7, 3, backends.get(name, dtype=dtype), seed=len(models))
        models[name].prepare(X)
        path = checkpoint.save_weights(models[name], tmp_path / f"{name}.safetensors")
        assert checkpoint.read(path)["params"]["layers.0.w_in"].dtype == dtype
    outputs = {name: model.predict(X) for name, model in models.items()}
    for source in models:
        for target in models:
            fresh = neko.RNN(7, 3, backends.get(target, dtype=dtype), seed=99)
            checkpoint.load_weights(fresh, tmp_path / f"{source}.safetensors")
            assert np.abs(fresh.predict(X) - outputs[source]).max() < tolerance, (source, target)
            assert all(str(w.dtype).endswith(dtype) or w.dtype == dtype for w in fresh.params.values())
    assert len({outputs[name].tobytes() for name in outputs}) == len(models)


def test_weights_of_another_shape_are_refused(tmp_path):
    model = neko.RNN(7, 3, "torch").build(4)
    path = checkpoint.save_weights(neko.Evaluator(model, "mse"), tmp_path / "w.safetensors")
    for other in (neko.RNN(6, 3, "torch"), neko.RNN(7, 2, "torch"), neko.RNN(7, 3, "torch").build(5)):
        before = dict(other.params)
        with pytest.raises(CheckpointError, match=r"parameters .*this model has"):
            checkpoint.load_weights(other, path)
        assert before == {} or all(before[name] is w for name, w in other.params.items())
    with pytest.raises(CheckpointError, match="this model has"):
        checkpoint.load_weights(neko.LIF([7, 7], 3, "torch"), path)
    with pytest.raises(CheckpointError, match="holds no weights"):
        checkpoint.load_weights(model, checkpoint.write(tmp_path / "x.safetensors", {"kind": "other"}))


def test_weights_and_buffers_of_a_torch_module(tmp_path):
    torch = pytest.importorskip("torch")

    def made():
        layers = torch.nn.Flatten(), torch.nn.Linear(36, 5), torch.nn.BatchNorm1d(5), torch.nn.Linear(5, 2)
        return neko.Evaluator(torch.nn.Sequential(*layers), "categorical_crossentropy")

    trained, fresh = made(), made()
    neko.BPTT(trained, optimizer="sgd", learning_rate=0.5).step(X, np.eye(2)[[0, 1, 0]])
    checkpoint.load_weights(fresh, checkpoint.save_weights(trained, tmp_path / "w.safetensors"))
    assert np.array_equal(fresh.predict(X), trained.predict(X))
    assert int(fresh.model.buffers["2.num_batches_tracked"]) == 1
    assert np.array_equal(fresh.model.module(torch.from_numpy(X).float()).detach().numpy().shape, (3, 2))


def test_weights_and_buffers_of_a_keras_model(tmp_path):
    keras = pytest.importorskip("keras")

    def made(seed):
        keras.utils.set_random_seed(seed)
        parts = keras.layers.Flatten(), keras.layers.Dense(5), keras.layers.BatchNormalization(), keras.layers.Dense(2)
        keras.utils.clear_session()
        return neko.Evaluator(keras.Sequential([keras.Input((9, 4)), *parts]), "categorical_crossentropy")

    trained, fresh = made(0), made(1)
    neko.BPTT(trained, optimizer="sgd", learning_rate=0.5).step(X, np.eye(2)[[0, 1, 0]])
    checkpoint.load_weights(fresh, checkpoint.save_weights(trained, tmp_path / "w.safetensors"))
    assert np.array_equal(fresh.predict(X), trained.predict(X))


def test_weights_of_a_training_checkpoint(tmp_path):
    x, y = X.astype(np.float32), np.eye(2)[[0, 1, 0]]
    rule = neko.BPTT(neko.Evaluator(neko.RNN(3, 2, "torch"), "categorical_crossentropy"))
    neko.Trainer(rule).train(x, y, callbacks=[neko.Checkpoints(tmp_path)], progress=False)
    fresh = neko.RNN(3, 2, "torch", seed=5)
    checkpoint.load_weights(fresh, checkpoint.listed(tmp_path)[-1])
    assert np.array_equal(fresh.predict(x), rule.model.model.predict(x))
