"""Mixed precision: products of operands rounded to bfloat16, with sums and all else in float32."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pytest
from scipy import stats

import neko
from neko import backend as backends
from neko import datasets, runs, tree
from neko.backend import generated
from neko.errors import CheckpointError, PrecisionWarning
from neko.runs.build import build_evaluator
from significance import FALSE_ALARM

EPS = 2.0**-24
"""Half a unit in the last place of float32: the relative error of a sum or a product."""
RNG = np.random.default_rng(0)
A, W, C = (RNG.standard_normal(shape).astype(np.float32) for shape in ((5, 6, 40), (40, 7), (5, 6, 7)))


def mixed(name):
    """The backend, without the warning of a processor that multiplies in float32."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PrecisionWarning)
        return backends.get(name, products="bfloat16")


@pytest.fixture(params=["torch", "jax"])
def rounding(request):
    xp = mixed(request.param)
    with xp.scope():
        yield xp


def rounded(a):
    """The nearest numbers of 8 significant bits, ties to even, in double precision."""
    mantissa, exponent = np.frexp(a.astype(np.float64))
    return np.ldexp(np.rint(mantissa * 256.0) / 256.0, exponent)


def close(found, pre, post):
    """``pre @ post`` to the rounding of float32 sums: at most K (1 + K) ε Σ |terms| for K terms."""
    terms = pre.shape[-1]
    bound = terms * (1.0 + terms) * EPS * (np.abs(pre) @ np.abs(post))
    return np.all(np.abs(found - pre @ post) <= bound)


def test_products_are_those_of_rounded_operands(rounding):
    xp = rounding
    a, w, c = map(xp.asarray, (A, W, C))
    rows, credit = A.reshape(-1, 40), C.reshape(-1, 7)
    for f in (xp.dense, xp.project, xp.jit(xp.dense)):
        found = xp.to_numpy(f(a, w))
        assert found.dtype == np.float32
        assert close(found, rounded(A), rounded(W))
        assert not close(found, A.astype(float), W.astype(float))  # the rounding is seen
    found = xp.to_numpy(xp.outer_sum(a, c))
    assert close(found, rounded(rows).T, rounded(credit))
    assert not close(found, rows.T.astype(float), credit.astype(float))


def test_derivatives_are_such_products_too(rounding):
    xp = rounding
    out, pull = xp.vjp(xp.dense, xp.asarray(A), xp.asarray(W))
    d_a, d_w = (xp.to_numpy(d) for d in pull(xp.asarray(C)))
    rows, credit = A.reshape(-1, 40), C.reshape(-1, 7)
    assert close(xp.to_numpy(out), rounded(A), rounded(W))
    assert close(d_a, rounded(C), rounded(W).T)
    assert close(d_w, rounded(rows).T, rounded(credit))
    assert not close(d_w, rows.T.astype(float), credit.astype(float))
    _, tangent = xp.jvp(xp.dense, (xp.asarray(A), xp.asarray(W)), (xp.asarray(A), xp.asarray(W)))
    # Forward mode may round the result in place of the operands: three roundings to 8 bits in each of two terms.
    bound = 2.0 * 3.0 * 2.0**-8 * (np.abs(A) @ np.abs(W))
    assert np.all(np.abs(xp.to_numpy(tangent) - 2.0 * A @ W) <= bound)


def test_nothing_else_is_rounded(rounding):
    xp = rounding
    a = xp.asarray(A)
    start = xp.zeros((6, 40))
    _, filtered = xp.leaky_filter(0.9, a, start, False)
    expected, f = [], np.zeros((6, 40))
    for drive in A.astype(float):
        f = 0.9 * f + drive
        expected.append(f)
    np.testing.assert_allclose(xp.to_numpy(filtered), expected, rtol=1e-5, atol=1e-6)


def network(xp, seed=0):
    return neko.Evaluator(
        neko.ALIF(24, 10, xp, seed=seed), loss="categorical_crossentropy", metrics=["accuracy", "firing_rate"]
    )


def test_weights_states_and_traces_are_in_float32(monkeypatch):
    monkeypatch.setattr(generated, "SWITCH", "off")
    x, y = 2.0 * RNG.random((4, 12, 6)).astype(np.float32), np.eye(10)[[0, 1, 2, 3]]
    found = {}
    for xp in (backends.get("torch"), mixed("torch")):
        rule = neko.Eprop(network(xp))
        loss, gradients = rule.gradients(x, y)
        assert rule.step(x, y)["firing_rate"] > 0.0
        own = [loss, gradients, rule.traces(x, y), rule.model.params, rule.update_state]
        arrays = [a for a in tree.leaves(own) if xp.owns(a) and a.is_floating_point()]
        assert len(arrays) > 10
        assert {a.dtype for a in arrays} == {xp.dtype}
        found[xp.products] = xp.to_numpy(gradients["layers.0.w_rec"])
    scale = np.abs(found[None]).max()
    assert 1e-6 * scale < np.abs(found["bfloat16"] - found[None]).max() < 0.5 * scale


def test_a_backend_is_restored_with_its_products():
    xp = mixed("torch")
    assert xp is not backends.get("torch")
    assert pickle.loads(pickle.dumps(xp)) is xp
    assert copy.deepcopy(xp.forward_only()).products == "bfloat16"
    assert "bfloat16" in repr(xp)
    assert "bfloat16" in repr(neko.LIF(3, 2, xp))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"name": "tensorflow", "products": "bfloat16"}, "TensorFlow adds up"),
        ({"name": "torch", "products": "float16"}, "expected one of"),
        ({"name": "torch", "products": "bfloat16", "dtype": "float64"}, "dtype='float32'"),
    ],
)
def test_other_products_are_refused(options, word):
    with pytest.raises(ValueError, match=word):
        backends.get(**options)


def test_a_processor_without_such_products_is_named(monkeypatch):
    from neko.backend import _torch

    monkeypatch.setattr(_torch, "multiplies", lambda device: False)
    with pytest.warns(PrecisionWarning, match="cpu: this processor"):
        _torch.TorchBackend(None, "float32", "bfloat16")
    monkeypatch.setattr(_torch, "multiplies", lambda device: True)
    assert _torch.TorchBackend(None, "float32", "bfloat16").products == "bfloat16"  # a warning would be an error


def test_a_checkpoint_of_another_precision_is_refused_by_name(tmp_path):
    x, y = RNG.random((4, 5, 6)).astype(np.float32), np.eye(10)[[0, 1, 2, 3]]
    files = neko.Checkpoints(tmp_path, keep=1)
    neko.Trainer(neko.Eprop(network(backends.get("torch")))).train(x, y, epochs=1, callbacks=[files], progress=False)
    other = neko.Trainer(neko.Eprop(network(mixed("torch"))))
    with pytest.raises(CheckpointError, match="products=None"):
        other.train(x, y, epochs=2, resume=tmp_path, progress=False)
    history = other.train(x, y, epochs=2, resume=tmp_path, changed=("products",), progress=False)
    assert history.epochs == 2


def test_a_run_takes_the_option():
    config = runs.TrainConfig(products="bfloat16", backend="torch", hidden=8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PrecisionWarning)
        assert build_evaluator(config, datasets.load("digits")).xp.products == "bfloat16"
    with pytest.raises(ValueError, match="products='half'"):
        build_evaluator(runs.TrainConfig(products="half"), datasets.load("digits"))


def curves(xp, rule, rate=3e-3, seeds=12, epochs=6):
    """Mean loss of every epoch on a part of the digits, a row per seed of weights and of the order of examples."""
    digits = datasets.load("digits").one_hot()
    rows = []
    for seed in range(seeds):
        trainer = neko.Trainer(rule(network(xp, seed), learning_rate=rate))
        history = trainer.train(
            digits.x_train[:512], digits.y_train[:512], epochs=epochs, batch_size=64, seed=seed, progress=False
        )
        assert np.mean(history["firing_rate"]) > 1.0
        rows.append(history["loss"])
    return np.array(rows)


def p_paired(a, b):
    """p-value of equal means of every column, by Student's t of the differences of rows; Bonferroni over columns."""
    away = a - b
    n, columns = away.shape
    t = np.sqrt(n) * away.mean(axis=0) / away.std(axis=0, ddof=1)
    return min(1.0, columns * 2.0 * stats.t.sf(np.abs(t), n - 1).min())


@pytest.mark.slow
@pytest.mark.parametrize("rule", [neko.Eprop, neko.BPTT])
def test_learning_curves_are_those_of_float32(rule, monkeypatch):
    """For each seed both precisions see the same weights and examples: the losses of an epoch differ by roundings that
    grow as in a chaotic system, with a mean of zero over seeds. A learning rate less by a sixth is seen."""
    monkeypatch.setattr(generated, "SWITCH", "off")  # so that the products of layers are rounded too
    exact, found = (curves(xp, rule) for xp in (backends.get("torch"), mixed("torch")))
    assert np.all(exact[:, -1] < exact[:, 0])
    assert np.all(found.std(axis=0) > 0.0)
    assert not np.array_equal(found, exact)
    assert p_paired(found, exact) > FALSE_ALARM
    if rule is neko.Eprop:
        assert p_paired(curves(backends.get("torch"), rule, rate=2.5e-3), exact) < FALSE_ALARM
