"""Examples are taken by position from any container; what is no dense array is refused in plain words."""

from __future__ import annotations

import h5py
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import tensorflow as tf
import torch

import neko
from neko.containers import as_array, as_inputs, count, rows

N = 12
RNG = np.random.default_rng(0)
X = RNG.standard_normal((N, 5, 3)).astype(np.float32)
Y = RNG.integers(0, 2, N)
SHUFFLED = RNG.permutation(N) + 100


def evaluator(backend="torch", loss="sparse_categorical_crossentropy"):
    return neko.Evaluator(neko.LIF(6, 2, backend, v_th=0.5), loss=loss, metrics=["accuracy"])


def hdf5(tmp_path, a):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a"] = a
    return h5py.File(tmp_path / "a.h5")["a"]


TARGETS = {
    "series": lambda y: pd.Series(y, index=SHUFFLED),
    "nullable series": lambda y: pd.Series(y, index=SHUFFLED, dtype="Int64"),
    "categories": lambda y: pd.Series(y, index=SHUFFLED).astype("category"),
    "objects": lambda y: np.array(list(y), dtype=object),
    "list": lambda y: y.tolist(),
    "numpy scalars": list,
    "floats": lambda y: y.astype(np.float64),
    "half": lambda y: y.astype(np.float16),
    "big endian": lambda y: y.astype(">i8"),
    "unsigned": lambda y: y.astype(np.uint16),
    "booleans": lambda y: y.astype(bool),
    "masked array, nothing masked": np.ma.masked_array,
    "torch": torch.tensor,
    "torch booleans": lambda y: torch.tensor(y).bool(),
    "bfloat16": lambda y: torch.tensor(y).bfloat16(),
    "jax": jnp.asarray,
    "jax bfloat16": lambda y: jnp.asarray(y, dtype=jnp.bfloat16),
    "tensorflow": tf.constant,
    "variable": tf.Variable,
}


@pytest.mark.parametrize("kind", TARGETS)
def test_targets_in_any_container_are_taken_by_position(kind):
    expected = evaluator().evaluate(X, Y)
    assert expected["accuracy"] not in (0.0, 1.0), "a wrong order would show"
    found = evaluator().evaluate(X, TARGETS[kind](Y))
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("backend", ["torch", "jax", "tensorflow"])
def test_one_hot_targets_of_every_dtype(backend):
    """Of a loss of one's own too, whose targets take part in its arithmetic."""

    def own(xp, y, t):
        return xp.sum(xp.square(y - t), axis=-1)

    for loss in ("categorical_crossentropy", own):
        model = evaluator(backend, loss)
        expected = model.evaluate(X, np.eye(2)[Y])
        for kind in (bool, np.int64, np.uint8, np.float64):
            assert model.evaluate(X, np.eye(2, dtype=kind)[Y]) == pytest.approx(expected, rel=1e-6), kind


def test_inputs_in_any_container(tmp_path):
    expected = evaluator().predict(X)
    containers = {
        "hdf5": hdf5(tmp_path, X),
        "list of tensors": [torch.tensor(x) for x in X],
        "list of arrays": list(X),
        "nested lists": X.tolist(),
        "with history": torch.tensor(X, requires_grad=True),
        "long double": X.astype(np.longdouble),
        "backwards": np.ascontiguousarray(X[::-1])[::-1],
        "read-only": np.broadcast_to(X, X.shape),
    }
    for name, x in containers.items():
        np.testing.assert_allclose(evaluator().predict(x), expected, rtol=1e-5, err_msg=name)


def test_a_frame_trains_in_its_own_order(tmp_path):
    """A DataFrame of inputs with a Series of labels, an HDF5 file, and plain arrays give one and the same history."""
    x, y = X[:, 0], Y

    def history(x, y):
        torch.manual_seed(0)
        model = neko.Evaluator(torch.nn.Linear(3, 2), loss="sparse_categorical_crossentropy")
        return neko.Trainer(neko.BPTT(model)).train(x, y, epochs=3, batch_size=5, progress=False)["loss"]

    expected = history(x, y)
    assert history(pd.DataFrame(x, index=SHUFFLED), pd.Series(y, index=SHUFFLED)) == expected
    assert history(hdf5(tmp_path, x), y) == expected
    assert history(x, y[::-1].copy()) != expected, "the control"


REFUSED = {
    "masked": (np.ma.masked_array(X, X > 1.0), "masked entries: fill them"),
    "sparse": (scipy.sparse.csr_matrix(X[:, 0]), r"sparse csr_matrix: expected a dense array, for example x\.toarray"),
    "sparse array": (scipy.sparse.coo_array(X[:, 0]), "sparse coo_array"),
    "sparse tensor": (torch.tensor(X).to_sparse(), r"sparse tensor .* x\.to_dense"),
    "nested tensor": (
        torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged),
        "nested tensor: expected a dense one",
    ),
    "packed": (
        torch.nn.utils.rnn.pack_sequence([torch.ones(3), torch.ones(2)]),
        "PackedSequence: .*pad_packed_sequence",
    ),
    "ragged": (tf.ragged.constant([[1.0], [1.0, 2.0]]), "RaggedTensor: expected a dense tensor; pad"),
    "sparse, TensorFlow": (tf.sparse.from_dense(X[:, 0]), r"SparseTensor: .*tf\.sparse\.to_dense"),
    "unequal rows": ([[1.0], [1.0, 2.0]], "rows of equal length; pad the sequences"),
    "unequal arrays": ([np.ones(2), np.ones(3)], r"shapes \[\(2,\), \(3,\)\]: expected equal ones; pad"),
    "complex": (X.astype(complex), "complex128: expected real numbers"),
    "words": (pd.Series(["cat", "dog"]), "expected an array of numbers"),
    "dates": (np.array(["2020-01-01"], dtype="datetime64[D]"), "expected real numbers"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_dense_array_is_refused_in_plain_words(kind):
    """By every door: evaluation, prediction, a rule's step and gradients, a trainer, a loader's batch."""
    value, words = REFUSED[kind]
    model = evaluator()
    model.build(X)
    rule = neko.Eprop(model)
    doors = [
        lambda: model.predict(value),
        lambda: model.evaluate(value, Y),
        lambda: rule.step(value, Y),
        lambda: rule.gradients(value, Y),
        lambda: neko.Trainer(rule).train(value, Y, progress=False),
        lambda: neko.Trainer(rule).train([(value, Y)], progress=False),
        lambda: model.model.record(value),
    ]
    for door in doors:
        with pytest.raises((TypeError, ValueError), match=words):
            door()


def test_half_precision_is_widened_exactly():
    for a in (torch.tensor(X).bfloat16(), torch.tensor(X).half()):
        found = as_array("x", a)
        assert found.dtype == torch.float32
        assert torch.equal(found, a.float())
    assert as_array("x", jnp.asarray(X, dtype=jnp.bfloat16)).dtype == np.float32


def test_inputs_that_belong_together():
    found = as_inputs("x", {"a": pd.Series([1.0, 2.0], index=[7, 3]), "b": [[1, 2], [3, 4]]}, True)
    assert count("x", found) == 2
    assert rows(found, np.array([1]))["a"].tolist() == [2.0]
    with pytest.raises(ValueError, match=r"inputs of \[2, 3\] examples"):
        count("x", (np.ones(2), np.ones(3)))
