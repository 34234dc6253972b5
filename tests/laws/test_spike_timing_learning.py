"""Spike-timing rules learn: a pattern hidden in noise without a teacher, and a task from its reward alone.

Each has controls in which one ingredient is missing.
"""

from __future__ import annotations

import numpy as np
import pytest

import neko
from neko.cells import LIF
from neko.models import Model
from neko.training.pairs import resolve

pytestmark = pytest.mark.slow

INPUTS, TIME, LENGTH, RATE = 60, 60, 10, 0.05


@pytest.fixture(scope="module")
def xp():
    return neko.backend.get("torch", dtype="float64")


def segment(rng):
    """Half of the inputs spike once, at random steps: as many spikes as the noise that it takes the place of."""
    x = np.zeros((LENGTH, INPUTS))
    x[rng.integers(0, LENGTH, INPUTS // 2), rng.permutation(INPUTS)[: INPUTS // 2]] = 1.0
    return x


def noise_with(rng, size, pattern):
    """Poisson noise; in every other sequence the pattern, or a new segment for None, begins at a random step."""
    x = (rng.random((size, TIME, INPUTS)) < RATE).astype(float)
    begin, label = rng.integers(10, TIME - LENGTH - 5, size), np.arange(size) % 2
    for i in np.flatnonzero(label):
        x[i, begin[i] : begin[i] + LENGTH] = segment(rng) if pattern is None else pattern
    return x, np.eye(2)[label], begin


def selectivity(model, x, y, begin):
    """Of every neuron, how much more often it spikes in the pattern than in noise at the same steps."""
    z = model.model.record(x)[0][-1]
    hit = np.array([each[start : start + LENGTH + 1].sum(axis=0) > 0 for each, start in zip(z, begin, strict=True)])
    return hit[y[:, 1] > 0].mean(axis=0) - hit[y[:, 1] == 0].mean(axis=0)


@pytest.mark.parametrize("seed", [0, 1])
def test_neurons_find_a_pattern_that_returns_and_a_readout_learns_from_them(xp, seed):
    """All inputs have the same rate at every step, so that only coincidences of spikes tell the pattern from noise.

    After Masquelier, Guyonneau & Thorpe (2008), doi:10.1371/journal.pone.0001377.
    """
    found = {}
    for arm, repeats, amplitude in (("stdp", True, 2e-3), ("never the same", False, 2e-3), ("no stdp", True, 0.0)):
        rng = np.random.default_rng(seed)
        pattern = segment(rng)
        network = Model(LIF(8, recurrent=False, tau_m=6.0), 2, xp, tau_out=50.0, seed=seed)
        model = neko.Evaluator(network, loss="categorical_crossentropy", metrics=["accuracy"], target="last")
        test = noise_with(rng, 300, pattern)
        model.build(test[0])
        w_in = 0.1 * (1.0 + 0.1 * rng.standard_normal((INPUTS, 8)))
        model.params = {**model.params, "layers.0.w_in": xp.asarray(w_in)}
        window = {"a_plus": amplitude, "a_minus": 1.5 * amplitude, "tau_plus": 8.0, "tau_minus": 8.0}
        rule = resolve("stdp")(model, **window, optimizer="sgd", learning_rate=1.0)
        assert np.abs(selectivity(model, *test)).max() < 0.1
        for _ in range(240):
            rule.step(*noise_with(rng, 20, pattern if repeats else None)[:2])
        found[arm] = np.median(selectivity(model, *test)), model.evaluate(*test[:2])["accuracy"]
    assert found["stdp"][0] > 0.7
    assert found["stdp"][1] > 0.65
    for control in ("never the same", "no stdp"):
        assert found[control][0] < 0.4
        assert found[control][1] < 0.6


def groups(rng, size):
    """Which of two groups of inputs is the more active."""
    label = rng.integers(0, 2, size)
    rate = np.where((np.arange(12) < 6)[None] == (label == 0)[:, None], 0.25, 0.05)
    return (rng.random((size, 40, 12)) < rate[:, None]).astype(float), np.eye(2)[label]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_two_neurons_learn_their_class_from_rewards(xp, seed):
    """The readout is fixed, one neuron a class, and the loss is zero: only the reward tells what is right. A reward for
    the wrong class teaches the opposite; rewards of other examples teach nothing that lasts."""

    def right(xp, y, target):
        return 2.0 * xp.astype(xp.argmax(y, axis=-1) == xp.argmax(target, axis=-1), xp.dtype) - 1.0

    def wrong(xp, y, target):
        return -right(xp, y, target)

    accuracy = {}
    for arm, reward in (("right", right), ("wrong", wrong), ("shuffled", right)):
        rng = np.random.default_rng(seed)
        network = Model(LIF(2, recurrent=False, tau_m=10.0), 2, xp, tau_out=20.0, seed=seed)
        model = neko.Evaluator(network, loss=lambda xp, y, t: xp.sum(0.0 * y, axis=-1), target="last")
        x_test, y_test = groups(np.random.default_rng(1000 + seed), 400)
        model.build(x_test)
        fixed = {"readout.w_out": xp.eye(2), "readout.b_out": xp.zeros((2,))}
        model.params = {"layers.0.w_in": xp.asarray(rng.uniform(0.2, 0.3, (12, 2))), **fixed}
        rule = resolve("reward_stdp")(model, reward=reward, optimizer="sgd", learning_rate=0.02)
        last = []
        for k in range(120):
            x, y = groups(rng, 64)
            rule.step(x, y[rng.permutation(64)] if arm == "shuffled" else y)
            if k % 30 == 29:
                last.append(float((model.predict(x_test).argmax(axis=-1) == y_test.argmax(axis=-1)).mean()))
        accuracy[arm] = np.array(last)
    assert accuracy["right"][-1] > 0.95
    assert accuracy["wrong"][-1] < 0.05
    assert accuracy["shuffled"].mean() < 0.8
