"""The set-ups and the printed e-prop, in NumPy alone, give the losses that NEST keeps: they are fit to judge neko."""

from __future__ import annotations

import numpy as np
import pytest

from reference_tasks import eprop, evidence_accumulation, forward, pattern_generation

# What is left is the rounding of the original, which ran in single precision.
TOLERANCE = 2e-7


def gradient_descent():
    return lambda weights, gradients: weights | {k: weights[k] - 1e-4 * g for k, g in gradients.items()}


def tensorflow1_adam():
    """Adam with its ε outside of the bias correction."""
    m, v, t = {}, {}, 0

    def update(weights, gradients):
        nonlocal t
        t += 1
        new = dict(weights)
        for k, g in gradients.items():
            m[k] = 0.9 * m.get(k, 0.0) + 0.1 * g
            v[k] = 0.999 * v.get(k, 0.0) + 0.001 * g**2
            rate = 5e-3 * np.sqrt(1.0 - 0.999**t) / (1.0 - 0.9**t)
            new[k] = weights[k] - rate * m[k] / (np.sqrt(v[k]) + 1e-8)
        return new

    return update


def losses_of(task, update, n_updates=5):
    """The loss before each update."""
    weights, losses = task.weights, []
    for (x, y), mask in list(zip(task.updates, task.masks, strict=True))[:n_updates]:
        loss, gradients = eprop(
            task.constants, weights, task.feedback, x[0], lambda out, y=y, mask=mask: task.error(out, y[0], mask[0])
        )
        losses.append(loss)
        weights = update(weights, gradients)
    return losses


TASKS = {
    "pattern generation": (pattern_generation, gradient_descent),
    "evidence accumulation": (evidence_accumulation, tensorflow1_adam),
}


@pytest.mark.parametrize("name", TASKS)
def test_the_published_losses_are_met(name):
    task, update = TASKS[name][0](), TASKS[name][1]()
    assert losses_of(task, update) == pytest.approx(task.losses, rel=TOLERANCE)


@pytest.mark.parametrize("name", TASKS)
def test_the_set_up_is_as_described(name):
    """Shapes, single-precision weights without self-synapses, binary inputs silent at first, and spiking neurons."""
    task = TASKS[name][0]()
    for w in (*task.weights.values(), task.feedback):
        np.testing.assert_array_equal(w, w.astype(np.float32))
    assert not np.diag(task.weights["layers.0.w_rec"]).any()
    assert task.feedback.T.shape == task.weights["readout.w_out"].shape
    assert len(task.updates) == len(task.masks) == len(task.losses) == 5
    for (x, y), mask in zip(task.updates, task.masks, strict=True):
        assert set(np.unique(x)) == {0.0, 1.0}
        assert not x[0, 0].any()
        assert x.shape[:2] == y.shape[:2] == mask.shape
        # 4.0 % in the first set-up; the published weights of the second give no more than 1.4 %.
        assert 0.01 <= forward(task.constants, task.weights, x[0]).z.mean() <= 0.4


def shifted(x):
    """Inputs that arrive one step late."""
    return np.concatenate([np.zeros_like(x[:, :1]), x[:, :-1]], axis=1)


def with_constants(**changes):
    return lambda task: task._replace(constants=task.constants._replace(**changes))


KNOBS = {
    "pattern generation": {
        "feedback": lambda task: task._replace(feedback=-task.feedback),
        "rate term": with_constants(rate_strength=0.0),
        "surrogate": with_constants(gamma=0.29),
        "input delay": lambda task: task._replace(updates=[(shifted(x), y) for x, y in task.updates]),
    },
    "evidence accumulation": {
        "feedback": lambda task: task._replace(feedback=-task.feedback),
        "rate term": with_constants(rate_strength=0.0),
        "adaptation": with_constants(beta=0.0),
        "refractory period": with_constants(refractory=4),
        "mask": lambda task: task._replace(masks=[np.ones_like(m) for m in task.masks]),
    },
}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "knob"), [(name, knob) for name, knobs in KNOBS.items() for knob in knobs])
def test_the_published_losses_see_each_part(name, knob):
    """The control: with one part changed, the numbers are missed by a thousand tolerances."""
    make, update = TASKS[name]
    task = make()
    found = np.array(losses_of(KNOBS[name][knob](task), update(), n_updates=2))
    expected = np.array(task.losses[:2])
    assert np.abs(found / expected - 1.0).max() > 1000 * TOLERANCE
