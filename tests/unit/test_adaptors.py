"""A user's own module trains as it would by hand in its framework, and stays the user's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import neko
from neko.models import adapt

RATE, STEPS = 0.1, 6


def data(width=6, classes=3, examples=24):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((examples, width)).astype(np.float32)
    return x, np.eye(classes, dtype=np.float32)[rng.integers(classes, size=examples)]


def module():
    torch.manual_seed(0)
    made = torch.nn.Sequential(
        torch.nn.Linear(6, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU(), torch.nn.Dropout(0.5), torch.nn.Linear(8, 3)
    )
    made[0].bias.requires_grad_(False)
    return made


def evaluator(model, **options):
    return neko.Evaluator(model, loss="categorical_crossentropy", metrics=["accuracy"], **options)


def sgd(model):
    return neko.BPTT(evaluator(model), optimizer="sgd", learning_rate=RATE)


def test_a_torch_module_trains_as_by_hand():
    x, y = data()
    mine, theirs = module(), module()
    start = {name: p.clone() for name, p in mine.state_dict().items()}
    rule = sgd(mine)
    torch.manual_seed(1)
    found = [rule.step(x, y)["loss"] for _ in range(STEPS)]
    torch.manual_seed(1)
    optimizer = torch.optim.SGD([p for p in theirs.parameters() if p.requires_grad], RATE)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(theirs(torch.tensor(x)), torch.tensor(y))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    np.testing.assert_allclose(found, losses, rtol=1e-5)
    for name, value in theirs.state_dict().items():
        np.testing.assert_allclose(mine.state_dict()[name].numpy(), value.numpy(), rtol=1e-5, atol=1e-6, err_msg=name)
    # What had to move did, and the frozen bias did not.
    assert torch.equal(mine.state_dict()["0.bias"], start["0.bias"])
    for name in ("0.weight", "1.running_mean", "1.num_batches_tracked", "4.weight"):
        assert not torch.equal(mine.state_dict()[name], start[name]), name


def test_evaluation_runs_in_evaluation_mode_and_leaves_the_modes_alone():
    x, y = data()
    mine = module()
    mine[1].eval()
    before = {name: p.clone() for name, p in mine.state_dict().items()}
    model = evaluator(mine)
    assert model.evaluate(x, y) == model.evaluate(x, y), "dropout was on"
    assert [part.training for part in mine] == [True, False, True, True, True]
    assert all(torch.equal(before[name], p) for name, p in mine.state_dict().items())
    sgd(mine).step(x, y)
    assert torch.equal(before["1.running_mean"], mine.state_dict()["1.running_mean"]), "a part in evaluation mode"
    mine.eval()
    expected = torch.softmax(mine(torch.tensor(x)), -1).detach().numpy()
    alone = adapt(mine, task_type="classification")
    np.testing.assert_allclose(alone.predict(x), expected, rtol=1e-5, atol=1e-7)


def test_a_clone_trains_without_the_users_object():
    x, y = data()
    mine = module()
    model = evaluator(mine)
    model.build(x)
    before = {name: p.clone() for name, p in mine.state_dict().items()}
    other = model.clone()
    neko.BPTT(other, optimizer="sgd", learning_rate=RATE).step(x, y)
    assert all(torch.equal(before[name], p) for name, p in mine.state_dict().items())
    assert not torch.equal(other.params["4.weight"], model.params["4.weight"])
    assert not torch.equal(other.model.buffers["1.running_mean"], model.model.buffers["1.running_mean"])


class Tagger(torch.nn.Module):
    """A recurrent module with an output at every step."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.gru = torch.nn.GRU(4, 5, batch_first=True)
        self.head = torch.nn.Linear(5, 3)

    def forward(self, x):
        return self.head(self.gru(x)[0])


def test_outputs_over_time_take_masks_and_every_kind_of_target():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((6, 7, 4)).astype(np.float32)
    y = np.eye(3, dtype=np.float32)[rng.integers(3, size=(6, 7))]
    mask = np.ones((6, 7), np.float32)
    mask[2, 4:] = 0.0
    model = evaluator(Tagger())
    loss, gradients = neko.BPTT(model).gradients(x, y, mask)
    logits = Tagger()(torch.tensor(x))
    each = torch.nn.functional.cross_entropy(logits.permute(0, 2, 1), torch.tensor(y.argmax(-1)), reduction="none")
    np.testing.assert_allclose(float(loss), ((each * torch.tensor(mask)).sum() / mask.sum()).item(), rtol=1e-5)
    assert set(gradients) == {name for name, _ in Tagger().named_parameters()}
    held = neko.BPTT(evaluator(Tagger(), target="last")).step(x, y[:, 0], mask)
    assert np.isfinite(held["loss"])


def test_a_rule_that_reads_cells_refuses_a_module():
    for rule in (neko.Eprop, neko.RTRL):
        with pytest.raises(TypeError, match="reads the cells of a network"):
            rule(evaluator(module()))


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        (lambda: adapt("alif"), TypeError, "torch.nn.Module or a keras.Model"),
        (lambda: adapt(module(), task_type="ranking"), ValueError, "task_type='ranking'"),
        (lambda: neko.BPTT(evaluator(module()), truncation=3), ValueError, "no steps to cut"),
        (lambda: sgd(torch.nn.ReLU()).step(*data()), ValueError, "no trainable parameter"),
        (lambda: sgd(torch.nn.Flatten(0)).step(*data()), ValueError, r"expected \(batch, outputs\)"),
        (lambda: sgd(module()).step(data()[0], data()[1], np.ones((24, 1))), ValueError, "no time axis"),
        (lambda: sgd(module()).step(data()[0][:0], data()[1][:0]), ValueError, "none of them 0"),
    ],
)
def test_what_cannot_be_a_model_is_named(wrong, error, words):
    with pytest.raises(error, match=words):
        wrong()


@pytest.mark.parametrize(
    ("framework", "checks"),
    [
        ("torch", "quick"),
        pytest.param("torch", "all", marks=pytest.mark.slow),
        pytest.param("tensorflow", "all", marks=pytest.mark.slow),
        pytest.param("jax", "all", marks=pytest.mark.slow),
    ],
)
def test_a_keras_model_trains_as_keras_trains_it(framework, checks):
    script = Path(__file__).parent.parent / "keras_check.py"
    environment = os.environ | {"KERAS_BACKEND": framework, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, str(script), checks], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"checked on {framework}" in done.stdout
