"""A masked frame is read by the network and judged nowhere; padding after a sequence changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

import neko
from neko.cells import CELLS
from neko.training import stream

RNG = np.random.default_rng(0)
LENGTHS = (9, 4, 7)
N, T = len(LENGTHS), 12
X = [2.0 * RNG.standard_normal((n, 3)) for n in LENGTHS]
Y = [RNG.integers(0, 2, n) for n in LENGTHS]


def padded(where):
    """The sequences at their beginning, at their end, or scattered among padding; with labels of -100 and NaN there."""
    x, y, mask = np.full((N, T, 3), 3.0), np.full((N, T), -100), np.zeros((N, T))
    rng = np.random.default_rng(1)
    for b, n in enumerate(LENGTHS):
        at = {
            "after": np.arange(n),
            "before": np.arange(T - n, T),
            "between": np.sort(rng.choice(T, n, replace=False)),
        }[where]
        x[b, at], y[b, at], mask[b, at] = X[b], Y[b], 1.0
    return x, y, mask


def evaluator(backend="torch", cell="lif", **options):
    made = CELLS[cell]
    xp = neko.backend.get(backend, dtype="float64")
    own = {"v_th": 0.5} if cell in ("lif", "alif", "dendritic") else {}
    model = neko.Model(made(5, **own), 2, xp, tau_out=10.0, seed=1)
    options = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]} | options
    return neko.Evaluator(model, **options)


def alone(make, measure):
    """A measure of every sequence by itself, without padding or mask."""
    return [measure(make(), x[None], y[None]) for x, y in zip(X, Y, strict=True)]


@pytest.mark.parametrize("cell", CELLS)
def test_predictions_do_not_see_padding_after(cell):
    x, _, mask = padded("after")
    make = lambda: evaluator(cell=cell)  # noqa: E731
    found = make().predict(x, mask)
    expected = np.concatenate(alone(make, lambda e, x, y: e.predict(x)))
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    every = make().predict(x, mask, every_step=True)
    for b, own in enumerate(alone(make, lambda e, x, y: e.predict(x, every_step=True)[0])):
        np.testing.assert_allclose(every[b][mask[b] > 0], own, rtol=1e-10, err_msg=f"sequence {b}")


@pytest.mark.quick("torch")
@pytest.mark.parametrize("backend", ["torch", "jax", "tensorflow"])
def test_losses_and_gradients_do_not_see_padding(backend):
    """Of every rule and form: those of the sequences by themselves, weighted by their frames."""
    rules = {
        "bptt": neko.BPTT,
        "e-prop": neko.Eprop,
        "e-prop in chunks": lambda e: neko.Eprop(e, chunk=5, mode="random"),
        "rtrl": neko.RTRL,
    }
    for name, rule in rules.items() if backend == "torch" else [("e-prop", neko.Eprop)]:
        single = alone(lambda: evaluator(backend), lambda e, x, y, rule=rule: rule(e).gradients(x, y))
        share = np.array(LENGTHS) / sum(LENGTHS)
        for where in ("after",):
            model = evaluator(backend)
            loss, gradients = rule(model).gradients(*padded(where))
            assert float(loss) == pytest.approx(sum(w * float(v) for w, (v, _) in zip(share, single, strict=True)))
            for parameter, g in gradients.items():
                each = [model.xp.to_numpy(found[parameter]) for _, found in single]
                expected = np.tensordot(share, np.array(each), 1)
                np.testing.assert_allclose(
                    model.xp.to_numpy(g), expected, rtol=1e-9, atol=1e-12, err_msg=f"{name}, {where}, {parameter}"
                )


def test_what_a_mask_hides_is_not_looked_at_and_what_it_shows_is():
    x, y, mask = padded("after")
    model = evaluator()
    assert np.isfinite(model.evaluate(x, y, mask)["loss"])
    shown = mask.copy()
    shown[1, LENGTHS[1]] = 1.0
    with pytest.raises(ValueError, match=r"y has classes -100 to 1: .*mask frames without a label"):
        model.evaluate(x, y, shown)


def test_targets_of_every_kind_under_the_mask():
    """Rows of NaN, of zeros, and values out of range, for each kind of loss."""
    x, _, mask = padded("after")
    x = np.nan_to_num(x)
    rows = {"categorical_crossentropy": np.eye(2)[0], "mse": np.array([0.3, -2.0]), "bce": np.array([1.0, 0.0])}
    for loss, row in rows.items():
        clean = np.tile(row, (N, T, 1))
        expected = evaluator(loss=loss, metrics=[]).evaluate(x, clean, mask)
        for rubbish in (np.nan, np.inf, -100.0, 0.0):
            y = np.where(mask[..., None] > 0, clean, rubbish)
            assert evaluator(loss=loss, metrics=[]).evaluate(x, y, mask) == expected, (loss, rubbish)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "momentum"])
@pytest.mark.parametrize("target", ["frames", "sequence"])
def test_a_chunk_of_padding_learns_nothing(optimizer, target):
    """Not even by the momentum of what was learnt before; in the middle of a batch as at its end."""
    x, y, mask = padded("after")
    y = np.array([0, 1, 1]) if target == "sequence" else y

    def weights(end):
        rule = neko.Eprop(evaluator(), chunk=3, online=True, optimizer=optimizer, learning_rate=0.05)
        found = rule.step(x[:, :end], y if target == "sequence" else y[:, :end], mask[:, :end])
        return found, rule.steps, rule.model.params

    (short, steps, expected), (long, more, params) = weights(9), weights(12)
    assert steps == more == 3
    assert short == pytest.approx(long)
    for name, w in expected.items():
        np.testing.assert_array_equal(params[name].numpy(), w.numpy())


def test_the_tasks_of_the_library_can_be_learnt_online():
    """Store-recall has masks with whole chunks of nothing."""
    data = neko.datasets.load("store-recall", train=4, test=2, slots=6, slot=10).one_hot()
    model = neko.Evaluator(neko.LIF(10, data.outputs, "torch"), loss="categorical_crossentropy")
    rule = neko.Eprop(model, chunk=5, online=True)
    found = rule.step(data.x_train, data.y_train, data.mask_train)
    assert np.isfinite(found["loss"])
    assert 0 < rule.steps < 12


def test_the_last_frame_that_counts():
    mask = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    assert stream.ends(mask > 0).tolist() == [1, 2, -1]
