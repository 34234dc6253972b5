"""A user's own torch.nn.Module in mixed precision and compiled."""

from __future__ import annotations

import copy
import pickle
import sys
import types
import warnings

import numpy as np
import pytest
import torch

import neko
from neko.errors import PrecisionWarning
from neko.models import adapt

COMPILING = pytest.mark.filterwarnings("ignore:.torch.jit.script_method:DeprecationWarning")
"""PyTorch's compiler warns of itself."""
RNG = np.random.default_rng(0)
X = RNG.standard_normal((48, 5, 6)).astype(np.float32)
Y = np.eye(3)[RNG.integers(0, 3, 48)]


class Recurrent(torch.nn.Module):
    """A recurrent network written out, with the buffers of a batch normalisation."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.inwards = torch.nn.Linear(6, 16)
        self.own = torch.nn.Linear(16, 16, bias=False)
        self.norm = torch.nn.BatchNorm1d(16)
        self.out = torch.nn.Linear(16, 3)

    def forward(self, x):
        h = x.new_zeros(x.shape[0], 16)
        for t in range(x.shape[1]):
            h = torch.tanh(self.inwards(x[:, t]) + self.own(h))
        return self.out(self.norm(h))


class Branching(torch.nn.Module):
    """A step that depends on a value, which no program can hold."""

    def __init__(self):
        super().__init__()
        self.out = torch.nn.Linear(6, 3)

    def forward(self, x):
        y = self.out(x[:, 0])
        return y if y.sum().item() > 0.0 else -y


def evaluator(module=Recurrent, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PrecisionWarning)
        return neko.Evaluator(adapt(module(), **options), loss="categorical_crossentropy", metrics=["accuracy"])


def gradients(model):
    loss, found = neko.BPTT(model).gradients(X, Y)
    return float(loss), found


def history(model):
    return neko.Trainer(neko.BPTT(model, learning_rate=1e-2)).train(X, Y, epochs=8, batch_size=20, progress=False)


def test_autocast_is_that_of_pytorch():
    module = Recurrent()
    with torch.autocast("cpu", torch.bfloat16):
        y = module(torch.from_numpy(X))
    assert y.dtype == torch.bfloat16
    expected = torch.nn.functional.cross_entropy(y.float(), torch.from_numpy(Y.argmax(axis=1)))
    expected.backward()
    loss, found = gradients(evaluator(products="bfloat16"))
    assert loss == pytest.approx(float(expected.detach()), rel=1e-6)
    exact = gradients(evaluator())[1]
    for name, p in module.named_parameters():
        assert found[name].dtype == torch.float32
        # The derivative of the loss by bfloat16 outputs is rounded to 8 bits, by either computation.
        scale = p.grad.abs().max()
        assert (found[name] - p.grad).abs().max() <= 2.0**-7 * scale
    assert any(not torch.equal(found[name], exact[name]) for name in exact)


def test_parameters_and_the_optimizer_stay_in_float32():
    rule = neko.BPTT(evaluator(products="bfloat16"))
    assert np.isfinite(rule.step(X, Y)["loss"])
    assert {p.dtype for p in rule.model.params.values()} == {torch.float32}
    assert rule.identity()["products"] == "bfloat16"


@pytest.mark.parametrize(
    ("module", "word"),
    [
        (lambda: Recurrent().double(), "dtype='float32'"),
        (lambda: Recurrent().bfloat16(), "expected one in float32"),
    ],
)
def test_mixed_precision_is_for_float32(module, word):
    with pytest.raises(ValueError, match=word):
        evaluator(module, products="bfloat16")


def test_keras_has_its_own_ways(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", types.SimpleNamespace(Model=Recurrent))
    with pytest.raises(ValueError, match="dtype policies"):
        evaluator(products="bfloat16")
    with pytest.raises(ValueError, match=r"expected a torch\.nn\.Module"):
        evaluator(compile=True)


@COMPILING
@pytest.mark.slow
def test_a_compiled_module_learns_as_it_does_uncompiled():
    plain, compiled = evaluator(), evaluator(compile=True)
    expected, found = gradients(plain), gradients(compiled)
    # Sums of at most 48 · 5 · 16 terms of order one in another order, at 6e-8 each.
    assert found[0] == pytest.approx(expected[0], rel=1e-5)
    for name, g in expected[1].items():
        assert g.abs().max() > 0.0 or name == "inwards.bias"
        assert (found[1][name] - g).abs().max() < 1e-4 * max(float(g.abs().max()), 1e-2)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] >= 1  # it did run as a program
    first, second = history(plain), history(compiled)
    assert second["loss"][-1] < 0.8 * second["loss"][0]
    np.testing.assert_allclose(second["loss"], first["loss"], rtol=1e-3)
    mean = "norm.running_mean"
    np.testing.assert_allclose(compiled.model.buffers[mean], plain.model.buffers[mean], atol=1e-3)
    np.testing.assert_allclose(compiled.predict(X), plain.predict(X), atol=1e-2)
    # Copies are compiled anew.
    again = pickle.loads(pickle.dumps(copy.deepcopy(compiled.model)))
    np.testing.assert_allclose(again.predict(X), compiled.model.predict(X), atol=1e-5)


def test_other_credit_runs_the_module_as_it_is():
    class Feedforward(torch.nn.Sequential):
        def __init__(self):
            torch.manual_seed(0)
            super().__init__(torch.nn.Flatten(), torch.nn.Linear(30, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))

    models = evaluator(Feedforward), evaluator(Feedforward, compile=True)
    first, second = (neko.FeedbackAlignment(m, feedback_seed=1).gradients(X, Y)[1] for m in models)
    assert all(torch.equal(first[name], second[name]) and first[name].abs().max() > 0.0 for name in first)


@COMPILING
@pytest.mark.filterwarnings("ignore:dynamo_pgo force disabled")
@pytest.mark.slow
def test_what_cannot_be_compiled_is_said(monkeypatch):
    rule = neko.BPTT(evaluator(Branching, compile=True))
    with pytest.raises(ValueError, match=r"compile=True: torch.compile cannot compile <Branching on torch>"):
        rule.step(X, Y)
    import torch._inductor.config

    monkeypatch.setattr(torch._inductor.config.cpp, "cxx", ("no-compiler",))
    monkeypatch.setattr(torch._inductor.config, "force_disable_caches", True)
    torch._dynamo.reset()
    rule = neko.BPTT(evaluator(lambda: torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(30, 3)), compile=True))
    with pytest.raises(ValueError, match=r"No working C\+\+ compiler"):
        rule.step(X, Y)
