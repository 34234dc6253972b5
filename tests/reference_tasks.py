"""The two e-prop set-ups whose losses NEST's test-suite keeps from the original authors' TensorFlow code.

Everything is drawn from ``numpy.random.seed(1)`` in the order of that test
(``testsuite/pytests/synapses/test_eprop_bsshslm_2020_plasticity.py``).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Task(NamedTuple):
    """Weights, feedback (outputs, n), one (x, y) per update, and the published losses."""

    weights: dict[str, np.ndarray]
    feedback: np.ndarray
    updates: list[tuple[np.ndarray, np.ndarray]]
    losses: tuple[float, ...]


def without_diagonal(w):
    np.fill_diagonal(w, 0.0)
    return w


def single(a):
    """Rounded to single precision, as the original was."""
    return a.astype(np.float32).astype(np.float64)


def pattern_generation():
    """One output follows a sum of four sines; 100 LIF neurons, 1000 steps of 1 ms."""
    rng = np.random.RandomState(1)
    n_in, n, steps = 100, 100, 1000
    w_in = rng.randn(n_in, n) / np.sqrt(n_in)
    w_rec = without_diagonal(rng.randn(n, n) / np.sqrt(n))
    w_out = rng.randn(n, 1) / np.sqrt(n)
    feedback = rng.randn(n, 1) / np.sqrt(n)
    x = (rng.rand(steps, n_in) < 0.05).astype(float)
    x[0] = 0.0
    amplitudes = rng.uniform(0.5, 2.0, 4)
    phases = rng.uniform(0.0, 2.0 * np.pi, 4)
    y = np.zeros(steps)
    for amplitude, phase, period in zip(amplitudes, phases, (1000, 500, 333, 200), strict=True):
        y += amplitude * np.sin(np.linspace(phase, phase + 2.0 * np.pi * (steps // period), steps))
    y = y - y[0]
    y /= np.abs(y).max()
    update = (x[None], y[None, :, None])
    losses = (101.964363098144, 103.466735839843, 103.340606689453, 103.680244445800, 104.412780761718)
    return Task(named(w_in, w_rec, w_out), single(feedback).T, [update] * 5, losses)


def evidence_accumulation():
    """Which side had more of seven cues? 50 LIF and 50 ALIF neurons, five sequences."""
    rng = np.random.RandomState(1)
    n_in, n, n_out = 40, 100, 2
    w_in = rng.randn(n_in, n) / np.sqrt(n_in)
    w_rec = without_diagonal(rng.randn(n, n) / np.sqrt(n))
    limit = np.sqrt(3.0 / max(1.0, (n + n_out) / 2.0))
    w_out = rng.uniform(-limit, limit, (n, n_out))
    feedback = rng.randn(n, n_out)
    updates = [evidence_sequence(rng) for _ in range(5)]
    losses = (0.741152524948, 0.740388214588, 0.665785133838, 0.663644134998, 0.729429066181)
    return Task(named(w_in, w_rec, w_out), single(feedback).T, updates, losses)


def evidence_sequence(rng):
    """Input spikes of one trial, and its label at every step of the recall period."""
    pause, cue, cues, background, recall, group = 50, 100, 7, 1050, 150, 10
    q = np.array([0.3, 0.7], dtype=np.float32)
    i = int(rng.choice([0, 1], 1)[0])
    sides = rng.choice([0, 1], cues, p=np.array([q[i], q[1 - i]]))
    steps = cues * (pause + cue) + background + recall
    p = np.zeros((steps, 4 * group))
    for k, side in enumerate(sides):
        begin = pause + k * (pause + cue)
        p[begin : begin + cue, side * group : (side + 1) * group] = 0.04
    p[-recall:, 2 * group : 3 * group] = 0.04
    p[:, 3 * group :] = 0.01
    x = (p > rng.rand(steps, 4 * group)).astype(float)
    x[0] = 0.0
    label = int(sides.sum() > 3)
    # Only the recall period has a target; a row of zeros adds nothing to a cross-entropy.
    y = np.zeros((1, steps, 2))
    y[0, -recall:, label] = 1.0
    return x[None], y


def named(w_in, w_rec, w_out):
    """Weights by neko's names, in single precision."""
    return {
        "layers.0.w_in": single(w_in),
        "layers.0.w_rec": single(w_rec),
        "readout.w_out": single(w_out),
        "readout.b_out": np.zeros(w_out.shape[1]),
    }
