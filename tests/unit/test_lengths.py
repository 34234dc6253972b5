"""Sequences of many lengths: a framework that compiles does so for a few of them, and no number changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import neko
from neko.data.lengths import Lengths
from neko.errors import CompilationWarning

RNG = np.random.default_rng(0)


def loader(lengths, classes=False):
    return [
        (2.0 * RNG.standard_normal((2, n, 3)).astype("f"), RNG.integers(0, 2, (2,) if classes else (2, n)))
        for n in lengths
    ]


def evaluator(backend, **options):
    options = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy", "firing_rate"]} | options
    return neko.Evaluator(neko.LIF(5, 2, backend, v_th=0.5, seed=1), **options)


def shapes(monkeypatch, model):
    """The lengths that reach the rule."""
    seen, batch = [], model.batch
    monkeypatch.setattr(model, "batch", lambda x, *rest: (seen.append(int(x.shape[1])), batch(x, *rest))[1])
    return seen


def test_the_first_length_stays_and_others_become_powers_of_two():
    found = Lengths()
    assert [found.of(n) for n in (50, 50, 33, 51, 64, 65, 3, 1)] == [50, 50, 50, 64, 64, 128, 4, 1]
    stated = Lengths([10, 100])
    assert [stated.of(n) for n in (7, 8, 11, 100, 101)] == [7, 10, 100, 100, 101]
    for bad in ([0], ["a"], 5, "12"):
        with pytest.raises((ValueError, TypeError), match="lengths"):
            Lengths(bad)


@pytest.mark.parametrize("classes", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_loader_of_many_lengths_compiles_a_few_and_gives_the_same_numbers(monkeypatch, classes):
    """JAX, which pads, against PyTorch, which has no need to: losses, metrics and weights."""
    lengths = (9, 5, 6, 7, 9, 3)
    data = loader(lengths, classes)
    results = {}
    for backend in ("torch", "jax"):
        model = evaluator(backend)
        seen = shapes(monkeypatch, model)
        history = neko.Trainer(neko.BPTT(model, optimizer="sgd", learning_rate=0.1)).train(
            data, epochs=2, validation=data, progress=False
        )
        results[backend] = history, model.params, seen
    (plain, weights, every), (padded, found, few) = results["torch"], results["jax"]
    assert set(every) == set(lengths)
    assert set(few) == {9, 8, 4}
    assert padded == {name: pytest.approx(values, rel=1e-4) for name, values in plain.items()}
    for name, w in weights.items():
        np.testing.assert_allclose(np.asarray(found[name]), w.numpy(), rtol=1e-3, atol=1e-5)


def test_lengths_may_be_stated_where_nothing_compiles(monkeypatch):
    model = evaluator("torch")
    seen = shapes(monkeypatch, model)
    neko.Trainer(neko.Eprop(model)).train(loader((4, 5, 6)), lengths=[6], progress=False)
    assert seen == [4, 6, 6]
    with pytest.raises(ValueError, match=r"lengths=\[6\]: expected none with arrays"):
        neko.Trainer(neko.Eprop(model)).train(*loader((4,))[0], lengths=[6], progress=False)
    module = neko.Evaluator(torch.nn.Linear(3, 2), loss="sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="would read the padding"):
        neko.Trainer(neko.BPTT(module)).train(loader((4, 5)), lengths=[6], progress=False)


@pytest.mark.slow
def test_compiling_again_and_again_is_warned_of(monkeypatch):
    """By a loop of one's own over `step`, which nobody pads; once."""
    from neko.backend import programs

    monkeypatch.setattr(programs, "MANY", 3)
    rule = neko.BPTT(evaluator("jax"))
    data = loader((2, 3, 4, 5))
    rule.step(*data[0])
    rule.step(*data[1])
    with pytest.warns(CompilationWarning, match=r"jax has compiled this rule for 3 shapes of batches.*lengths=\[…\]"):
        rule.step(*data[2])
    rule.step(*data[3])
    eager = neko.BPTT(evaluator("torch"))
    for batch in data:
        eager.step(*batch)
