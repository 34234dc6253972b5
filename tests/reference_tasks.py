"""The two e-prop set-ups whose losses NEST's test-suite keeps from the original authors' TensorFlow code.

Everything is drawn from ``numpy.random.seed(1)`` in the order of that test
(``testsuite/pytests/synapses/test_eprop_bsshslm_2020_plasticity.py``). Two parts that know nothing of each other: the
set-ups, and e-prop in NumPy as it is printed. Neither imports neko.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Constants(NamedTuple):
    """Constants of neurons, readout and firing-rate term; times in steps of 1 ms."""

    tau_m: float
    tau_out: float
    v_th: float
    gain: float  # factor of the currents: 1 or 1 - α
    rate_strength: float
    rate_target: float = 0.01  # spikes per step
    gamma: float = 0.3
    tau_a: float = 2000.0
    beta: np.ndarray | float = 0.0
    refractory: int = 0


class Task(NamedTuple):
    """Weights, feedback (outputs, n), one (x, y) per update, the published losses, and what the rule needs.

    `masks` has one (1, time) per update, 1 where the loss is read; ``error(outputs, y, mask)`` gives the loss of
    one sequence and its derivative by the outputs.
    """

    weights: dict[str, np.ndarray]
    feedback: np.ndarray
    updates: list[tuple[np.ndarray, np.ndarray]]
    losses: tuple[float, ...]
    masks: list[np.ndarray]
    constants: Constants
    error: Callable[..., tuple[float, np.ndarray]]


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
    constants = Constants(tau_m=30.0, tau_out=30.0, v_th=0.03, gain=1.0 - np.exp(-1.0 / 30.0), rate_strength=300.0)
    masks = [np.ones((1, steps))] * 5
    return Task(
        named(w_in, w_rec, w_out), single(feedback).T, [update] * 5, losses, masks, constants, half_squared_error
    )


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
    masks = [y.sum(axis=-1) for _, y in updates]
    strength = 1.7 * (1.0 - np.exp(-1.0 / 2000.0)) / (1.0 - np.exp(-1.0 / 20.0))
    beta = np.repeat([0.0, strength], n // 2)
    constants = Constants(tau_m=20.0, tau_out=20.0, v_th=0.6, gain=1.0, rate_strength=2.0, beta=beta, refractory=5)
    return Task(named(w_in, w_rec, w_out), single(feedback).T, updates, losses, masks, constants, crossentropy)


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


def half_squared_error(outputs, y, mask):
    error = mask[:, None] * (outputs - y)
    return 0.5 * float((error**2).sum()), error


def crossentropy(outputs, y, mask):
    """Softmax cross-entropy, averaged over the steps that count."""
    log_p = outputs - np.log(np.exp(outputs).sum(axis=1, keepdims=True))
    share = mask[:, None] / mask.sum()
    return -float((share * y * log_p).sum()), share * (np.exp(log_p) - y)


class Forward(NamedTuple):
    """One sequence over time: outputs, spikes, pseudo-derivatives, presynaptic activity, κ-filtered spikes."""

    outputs: np.ndarray
    z: np.ndarray
    psi: np.ndarray
    pre: np.ndarray
    z_bar: np.ndarray


def forward(c, weights, x):
    """Run the network over x (time, n_in).

    In step t: the membrane sees x_t, z_{t-1} and the reset by z_{t-1}; the adaptation adds z_{t-1} before the
    threshold is compared; the counter of the last step silences, and restarts with z_t; the readout sees z_t.
    """
    alpha, kappa, rho = (np.exp(-1.0 / tau) for tau in (c.tau_m, c.tau_out, c.tau_a))
    w = np.concatenate([weights["layers.0.w_in"], weights["layers.0.w_rec"]])
    v, a, r, z, z_bar = (np.zeros(w.shape[1]) for _ in range(5))
    steps = []
    for x_t in x:
        pre = np.concatenate([x_t, z])
        v = alpha * v + c.gain * (pre @ w) - c.v_th * z
        a = rho * a + z
        above = v - (c.v_th + c.beta * a)
        awake = r == 0
        z = (awake & (above > 0.0)).astype(float)
        psi = awake * c.gamma / c.v_th * np.maximum(0.0, 1.0 - np.abs(above) / c.v_th)
        r = np.clip(r + c.refractory * z - 1.0, 0.0, c.refractory)
        z_bar = kappa * z_bar + (1.0 - kappa) * z
        steps.append((z_bar @ weights["readout.w_out"], z, psi, pre, z_bar))
    return Forward(*(np.array(a) for a in zip(*steps, strict=True)))


def eprop(c, weights, feedback, x, error_of):
    """Loss and gradients of one sequence, with an eligibility vector per synapse carried forward in time.

    Bellec et al. (2020), eqs. 1, 4, 22-28. The learning signal meets the κ-filtered trace, the rate term the bare one.
    A neuron has no synapse onto itself.
    """
    alpha, kappa, rho = (np.exp(-1.0 / tau) for tau in (c.tau_m, c.tau_out, c.tau_a))
    run = forward(c, weights, x)
    loss, error = error_of(run.outputs)
    signal = error @ feedback
    rate_term = c.rate_strength * (run.z.mean(axis=0) - c.rate_target) / len(x)
    eps_v, eps_a, trace_bar, gradient = (np.zeros((run.pre.shape[1], run.z.shape[1])) for _ in range(4))
    psi_before = np.zeros(run.z.shape[1])
    for pre, psi, signal_t in zip(run.pre, run.psi, signal, strict=True):
        eps_a = psi_before * eps_v + (rho - psi_before * c.beta) * eps_a
        eps_v = alpha * eps_v + c.gain * pre[:, None]
        trace = psi * (eps_v - c.beta * eps_a)
        trace_bar = kappa * trace_bar + (1.0 - kappa) * trace
        gradient += signal_t * trace_bar + rate_term * trace
        psi_before = psi
    n_in = x.shape[1]
    return loss, {
        "layers.0.w_in": gradient[:n_in],
        "layers.0.w_rec": without_diagonal(gradient[n_in:]),
        "readout.w_out": run.z_bar.T @ error,
    }
