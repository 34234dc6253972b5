"""Step laws against closed trajectories, and against the published formulas of aihwkit's devices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from laws.test_devices import HALF, MID, RANGE, STEP, close, trajectory
from neko import backend as backends
from neko.devices import ConstantStep, ExponentialStep, LinearStep, PiecewiseStep, PowerStep, SoftBounds

RATE = STEP / HALF


def run(xp, device, sign, pulses, g0=MID):
    """ĝ after 0, 1, … pulses."""
    path, _ = trajectory(xp, device, [sign] * pulses, g0=g0)
    return (np.concatenate([[g0], path[:, 0]]) - MID) / HALF


@pytest.mark.quick("torch")
def test_neurosims_law_is_exponential_in_the_number_of_pulses(xp):
    a, count = {1: 0.5, -1: 0.2}, {1: 40, -1: 30}
    device = LinearStep.saturating(
        a_up=a[1], a_down=a[-1], pulses_up=count[1], pulses_down=count[-1], g_min=1e-6, g_max=101e-6
    )
    for sign, start in ((1, 1e-6), (-1, 101e-6)):
        p = np.arange(count[sign] + 1)
        b = 100e-6 / (1.0 - np.exp(-1.0 / a[sign]))
        expected = start + sign * b * (1.0 - np.exp(-p / (a[sign] * count[sign])))
        path, _ = trajectory(xp, device, [sign] * count[sign], g0=start)
        np.testing.assert_allclose(path[:, 0], expected[1:], rtol=1e-11)


@pytest.mark.quick("torch")
def test_small_exponential_steps_follow_a_logarithm(xp):
    """Of steps half as large the error is half as large, as it is where a path follows a differential equation."""
    gamma, worst = 1.7, []
    for fine in (1, 2):
        device = ExponentialStep(**{**RANGE, "dg_min": STEP / fine}, gamma_up=gamma, gamma_down=gamma)
        p = np.arange(20 * fine + 1)
        expected = np.log(1.0 + gamma * RATE / fine * p) / gamma
        for sign in (1, -1):
            found = run(xp, device, sign, 20 * fine)
            worst.append(np.abs(sign * found - expected).max())
    assert 1e-4 < worst[0] < RATE
    np.testing.assert_allclose([worst[2] / worst[0], worst[3] / worst[1]], 0.5, atol=0.03)


@pytest.mark.quick("torch")
def test_steps_of_power_two_leave_a_distance_of_one_over_the_number_of_pulses(xp):
    worst = []
    for fine in (1, 2):
        found = run(xp, PowerStep(**{**RANGE, "dg_min": STEP / fine}), 1, 200 * fine)
        p = np.arange(200 * fine + 1)
        worst.append(np.abs(1.0 - found - 1.0 / (1.0 + RATE / fine * p)).max())
    assert 1e-4 < worst[0] < RATE
    assert worst[1] / worst[0] == pytest.approx(0.5, abs=0.03)


@pytest.mark.quick("torch")
def test_laws_contain_each_other(xp):
    pulses = [1, 1, -1, 1, -1, -1, -1] * 5
    equal = [
        (PowerStep(**RANGE, gamma_up=1.0, gamma_down=1.0), SoftBounds(**RANGE)),
        (PowerStep(**RANGE, gamma_up=0.0, gamma_down=0.0), ConstantStep(**RANGE)),
        (ExponentialStep(**RANGE, share_up=0.0, share_down=0.0), ConstantStep(**RANGE)),
        (PiecewiseStep(**RANGE, nodes_up=(2.0, 0.0), nodes_down=(0.0, 1.0, 2.0)), SoftBounds(**RANGE)),
        (PiecewiseStep(**RANGE, nodes_up=(0.4, 1.6), nodes_down=(1.0, 1.0)), LinearStep(**RANGE, gamma_up=0.6)),
    ]
    for one, other in equal:
        close(*(trajectory(xp, device, pulses, g0=33e-6)[0] for device in (one, other)))


@pytest.mark.quick("torch")
def test_piecewise_steps_have_the_values_of_their_nodes_and_lie_between_them(xp):
    nodes = {1: (3.0, 1.0, 0.5, 2.0), -1: (0.0, 4.0)}
    device = PiecewiseStep(**RANGE, nodes_up=nodes[1], nodes_down=nodes[-1])
    at = np.linspace(-0.99, 0.94, 40)
    for sign, v in nodes.items():
        g = xp.asarray(MID + HALF * at)
        state = device.init(xp, xp.random.key(0), g)
        moved = device.pulse(xp, xp.random.key(0), state, sign * xp.ones_like(g))
        step = sign * (xp.to_numpy(moved.g) - (MID + HALF * at)) / STEP
        room = (1.0 - sign * at) / RATE
        expected = np.minimum(np.interp(at, np.linspace(-1.0, 1.0, len(v)), v), room)
        np.testing.assert_allclose(step, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.quick("torch")
@pytest.mark.parametrize(
    ("device", "point"),
    [
        (PowerStep(**RANGE, gamma_up=1.0, gamma_down=2.0), 0.0),
        # u e^{-γ x} = d e^{γ x} at x = ln(u / d) / (2 γ)
        (ExponentialStep(**RANGE, up_down=0.2, gamma_up=1.5, gamma_down=1.5), np.log(1.2 / 0.8) / 3.0),
        # up 2 - 1.5 ω, down 0.5 + 1.5 ω with ω = (1 + x)/2
        (PiecewiseStep(**RANGE, nodes_up=(2.0, 0.5), nodes_down=(0.5, 2.0)), 0.0),
    ],
)
def test_alternating_pulses_lead_to_the_symmetry_point(xp, device, point):
    state = device.init(xp, xp.random.key(0), xp.full((1,), MID))
    found = float(xp.to_numpy(device.symmetry_point(xp, state))[0])
    assert (found - MID) / HALF == pytest.approx(point, abs=1e-9)
    path, _ = trajectory(xp, device, [1, -1] * 200, g0=90e-6)
    last = (path[-2:, 0] - MID) / HALF
    assert last[1] < point < last[0]
    assert last[0] - last[1] < 1.5 * RATE


# Steps that aihwkit's documentation defines for its devices, at weights w between the bounds, by a pulse up (d = 1) or
# down (-1) of mean size dw; https://aihwkit.readthedocs.io/en/latest/api/aihwkit.simulator.configs.devices.html
W, BOUNDS = np.array([-0.9, -0.35, 0.0, 0.2, 0.85]), (-1.0, 1.0)


def linear_step(w, d, dw, gamma_up, gamma_down):
    slope = -gamma_up / BOUNDS[1] if d > 0 else -gamma_down / BOUNDS[0]
    return dw * (1.0 + slope * w)


def soft_bounds(w, d, dw):
    return linear_step(w, d, dw, 1.0, 1.0)


def exp_step(w, d, dw, big_a, gamma, a, b):
    z = 2.0 * a * w / (BOUNDS[1] - BOUNDS[0]) + b
    return dw * np.maximum(1.0 - big_a[d] * np.exp(d * gamma[d] * z), 0.0)


def pow_step(w, d, dw, gamma):
    omega = (BOUNDS[1] - w) / (BOUNDS[1] - BOUNDS[0])
    return dw * (omega if d > 0 else 1.0 - omega) ** gamma[d]


def piecewise_step(w, d, dw, nodes):
    place = (w - BOUNDS[0]) / (BOUNDS[1] - BOUNDS[0]) * (len(nodes[d]) - 1)
    i = np.minimum(place.astype(int), len(nodes[d]) - 2)
    q = place - i
    v = np.array(nodes[d])
    return dw * ((1.0 - q) * v[i] + q * v[i + 1])


def exponential(big_a, gamma, a, b):
    """The same law, and its step at mid-range, as the docstring of `ExponentialStep` says."""
    own = {d: big_a[d] * np.exp(d * gamma[d] * b) for d in (1, -1)}
    law = ExponentialStep(
        **RANGE,
        gamma_up=-a * gamma[1],
        gamma_down=-a * gamma[-1],
        share_up=own[1] / (own[1] - 1.0),
        share_down=own[-1] / (own[-1] - 1.0),
    )
    return law, {d: 1.0 - own[d] for d in own}


RERAM_ES = {"big_a": {1: -1.18445, -1: -0.081404}, "gamma": {1: 5.0, -1: 5.0}, "a": -0.5, "b": -0.5}
CMOS = {"big_a": {1: 0.00081, -1: 0.36833}, "gamma": {1: 12.44625, -1: 12.78785}, "a": 0.244, "b": 0.2425}
NODES = {1: [1.5, 1.0, 0.25, 0.0], -1: [0.1, 2.0, 1.0, 1.5]}
PUBLISHED = {
    "LinearStep": (LinearStep(**RANGE, gamma_up=-0.4152, gamma_down=0.7342), linear_step, (0.4152, 0.7342), {}),
    "SoftBounds": (SoftBounds(**RANGE), soft_bounds, (), {}),
    "ExpStep of ReRamES": (exponential(**RERAM_ES)[0], exp_step, tuple(RERAM_ES.values()), exponential(**RERAM_ES)[1]),
    "ExpStep, defaults": (exponential(**CMOS)[0], exp_step, tuple(CMOS.values()), exponential(**CMOS)[1]),
    "PowStep": (
        PowerStep(**RANGE, gamma_up=1.3, gamma_down=0.6),
        pow_step,
        ({1: 1.3, -1: 0.6},),
        {1: 0.5**1.3, -1: 0.5**0.6},
    ),
    "PiecewiseStep": (
        PiecewiseStep(**RANGE, nodes_up=NODES[1], nodes_down=NODES[-1]),
        piecewise_step,
        (NODES,),
        {},
    ),
}


@pytest.mark.quick("torch")
@pytest.mark.parametrize("name", PUBLISHED)
def test_steps_are_those_of_aihwkits_documentation(xp, name):
    device, formula, parameters, at_middle = PUBLISHED[name]
    for d in (1, -1):
        start = xp.asarray(MID + HALF * W)
        state = device.init(xp, xp.random.key(0), start)
        moved = device.pulse(xp, xp.random.key(1), state, d * xp.ones_like(start))
        found = d * (xp.to_numpy(moved.g) - (MID + HALF * W)) / HALF
        expected = formula(W, d, RATE / at_middle.get(d, 1.0), *parameters)
        assert np.ptp(expected) > 0.1 * RATE
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def pulsed(xp, device, key, state, direction):
    return device.pulse(xp, key, state, direction)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_law_runs_in_one_pass_over_memory(name, dtype):
    """The generated kernel exists, and its numbers are those of the framework's operations to rounding."""
    elementwise = pytest.importorskip("neko.kernels.elementwise")
    device, xp = replace(PUBLISHED[name][0], dg_min_std=0.3, g_max_dtod=0.2), backends.get("torch", dtype=dtype)
    rng = np.random.default_rng(0)
    state = device.init(xp, xp.random.key(0), xp.asarray(rng.uniform(0.0, 110e-6, (40, 5))))
    elementwise.PLANS.clear()
    for t in range(3):
        direction, key = xp.asarray(rng.integers(-1, 2, (40, 5)).astype(dtype)), xp.random.key(t)
        expected = device.pulse(xp, key, state, direction)
        state = xp.elementwise(pulsed, device, key, state, direction)
        np.testing.assert_allclose(state.g.numpy(), expected.g.numpy(), rtol=64 * np.finfo(dtype).eps, atol=0.0)
        assert torch.equal(state.pulses, expected.pulses)
    assert len(elementwise.PLANS) == 1
    assert None not in elementwise.PLANS.values()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: PowerStep(gamma_up=-1.0), "gamma_up=-1.0"),
        (lambda: ExponentialStep(share_down=float("inf")), "share_down=inf"),
        (lambda: PiecewiseStep(nodes_up=[1.0]), "two or more"),
        (lambda: PiecewiseStep(nodes_down=[1.0, -0.1]), "at least 0"),
        (lambda: LinearStep.saturating(a_up=0.0, a_down=1.0, pulses_up=3, pulses_down=3, g_min=0, g_max=1), "a_up=0.0"),
    ],
)
def test_a_wrong_constant_of_a_law_is_named(wrong, words):
    with pytest.raises(ValueError, match=words):
        wrong()
