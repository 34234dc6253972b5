"""A network fed frame by frame."""

from __future__ import annotations

import numpy as np
import pytest

import neko
from neko import backend
from neko.inference import Stepwise

X = 2.0 * np.random.default_rng(0).standard_normal((3, 9, 4))


@pytest.mark.parametrize("judge", ["alone", "mse", "categorical_crossentropy"])
@pytest.mark.parametrize("name", backend.installed())
def test_frame_by_frame_is_the_sequence(name, judge):
    """Of a model alone, and as its loss has it."""
    model = neko.Model(
        [neko.cells.ALIF(6, tau_m=20.0, t_ref=2.0), neko.cells.LIF(5)],
        2,
        backend.get(name, dtype="float64"),
        task_type="classification",
    )
    made = model if judge == "alone" else neko.Evaluator(model, judge)
    whole = model.predict(X) if judge == "alone" else made.predict(X, every_step=True)
    assert np.allclose(whole.sum(axis=-1), 1.0) == (judge != "mse")
    assert model.record(X)[0].z.mean() > 0.02
    live = Stepwise(made)
    for _ in range(2):
        found = np.stack([live.step(X[:, t]) for t in range(9)], axis=1)
        assert np.abs(found - whole).max() < 1e-12
        assert np.array_equal(model.xp.to_numpy(live.state.layers[0].z), model.record(X)[0].z[:, -1])
        live.reset()
    assert np.abs(live.step(X[:, -1]) - whole[:, -1]).max() > 1e-3  # the state is what makes the difference


def test_a_model_may_be_trained_in_between():
    evaluator = neko.Evaluator(neko.LIF(6, 2, "torch"), "mse")
    live = Stepwise(evaluator)
    before = live.step(X[:, 0])
    neko.Eprop(evaluator, learning_rate=0.1).step(X, np.zeros((3, 2)))
    live.reset()
    after = live.step(X[:, 0])
    assert not np.array_equal(before, after)
    assert np.allclose(after, evaluator.model.predict(X)[:, 0])


def test_what_cannot_be_stepped_says_why():
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match="expected a network of cells"):
        Stepwise(neko.Evaluator(torch.nn.Linear(4, 2), "mse"))
    live = Stepwise(neko.LIF(6, 2, "torch"))
    with pytest.raises(ValueError, match=r"shape \(3, 9, 4\): expected one frame, \(batch, n_in\)"):
        live.step(X)
    live.step(X[:, 0])
    with pytest.raises(ValueError, match=r"2 rows: expected 3, as in the frames before, or reset"):
        live.step(X[:2, 1])
    with pytest.raises(ValueError, match="width 3"):
        live.step(X[:, 1, :3])
    live.reset()
    assert live.step(X[:2, 1]).shape == (2, 2)
