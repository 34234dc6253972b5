"""Cyclical samplers as learners: the step sizes and the noise of their batches, and which epochs give a draw."""

from __future__ import annotations

import numpy as np
import pytest

import neko
from neko.samplers import cyclical

X = np.random.default_rng(0).random((10, 3))
Y = np.eye(2)[np.arange(10) % 2]
CYCLE, BATCHES = 4, 3


def model():
    return neko.Evaluator(neko.LIF(4, 2, "torch", seed=1), loss="categorical_crossentropy")


def train(rule, epochs, batch_size=4):
    x = np.repeat(X[:, None], 5, axis=1)
    return neko.Trainer(rule).train(x, Y, epochs=epochs, batch_size=batch_size, progress=False)


def watched(monkeypatch, kind, **options):
    """A sampler, and the step sizes and factors of the noise with which it steps."""
    rule, seen = kind(model(), step_size=1e-3, cycle_epochs=CYCLE, exploration=0.5, **options), []
    pace = rule.pace
    monkeypatch.setattr(rule, "pace", lambda batch: seen.append(pace(batch)) or seen[-1])
    return rule, seen


@pytest.mark.parametrize("kind", [neko.CyclicalSGLD, neko.CyclicalSGHMC])
def test_the_steps_of_a_run_follow_the_schedule(monkeypatch, kind):
    """Ten examples in batches of four: three steps an epoch, twelve a cycle."""
    rule, seen = watched(monkeypatch, kind)
    train(rule, 6)
    k = np.arange(1, 6 * BATCHES + 1)
    expected = [cyclical.step_size(int(i), CYCLE * BATCHES, 1e-3) for i in k]
    np.testing.assert_allclose([step_size for step_size, _ in seen], expected, rtol=1e-12)
    assert [noise for _, noise in seen] == [0.0 if (i - 1) % 12 < 6 else 1.0 for i in k]


def test_draws_come_from_the_sampling_stage_alone(monkeypatch):
    rule, _ = watched(monkeypatch, neko.CyclicalSGLD)
    logdensity = train(rule, 9)["logdensity"]
    found = rule.posterior
    assert [epoch for epoch in range(9) if rule.draws_in(epoch)] == [2, 3, 6, 7]
    assert found.draws["readout.w_out"].shape[:2] == (1, 4)
    np.testing.assert_allclose(found.logdensity[0], np.array(logdensity)[[2, 3, 6, 7]])
    rule, _ = watched(monkeypatch, neko.CyclicalSGLD, warmup=4, thinning=2)
    assert [epoch for epoch in range(16) if rule.draws_in(epoch)] == [6, 10, 14]


@pytest.mark.parametrize("kind", [neko.CyclicalSGLD, neko.CyclicalSGHMC])
def test_there_is_no_noise_in_exploration(monkeypatch, kind):
    """Two seeds give one chain until the first epoch of the sampling stage."""
    rules = [watched(monkeypatch, kind, seed=seed)[0] for seed in (0, 1)]
    weights = []
    for epochs in (2, 1):
        for rule in rules:
            train(rule, epochs)
        weights.append([rule.model.params["layers.0.w_in"].numpy().copy() for rule in rules])
    np.testing.assert_array_equal(*weights[0])
    assert np.abs(np.subtract(*weights[1])).max() > 0.0


def test_a_call_with_other_batches_keeps_the_cycle(monkeypatch):
    """The place in a cycle is that of the epoch, whatever the size of the batches."""
    rule, seen = watched(monkeypatch, neko.CyclicalSGLD)
    train(rule, 2)
    train(rule, 1, batch_size=5)
    assert [step_size for step_size, _ in seen[-2:]] == [cyclical.step_size(k, 8, 1e-3) for k in (5, 6)]
