"""Every imperfection of devices against closed forms and known laws, on every backend."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neko import backend as backends
from neko.devices import (
    DEVICES,
    IMPERFECTIONS,
    ConstantStep,
    Decay,
    Drift,
    Endurance,
    Levels,
    ReadNoise,
    SingleDevice,
    SoftBounds,
    Stuck,
    WriteNoise,
)
from significance import FALSE_ALARM, MISSED, missed_binomial, missed_normal, p_binomial, p_normal

RANGE = {"g_min": 1e-6, "g_max": 101e-6, "dg_min": 2e-6}
MID, STEP = 51e-6, 2e-6
pytestmark = pytest.mark.quick("torch")
ALL = (
    Stuck(at_min=0.05, at_max=0.05, at_random=0.1),
    Levels(17, stochastic=True),
    WriteNoise(0.5),
    ReadNoise(0.02),
    Drift(nu=0.05, nu_dtod=0.02),
    Decay(tau=50.0),
    Endurance(20, spread=0.4),
)


def made(xp, *imperfections, size=1, g=MID, seed=0, kind=ConstantStep, **options):
    device = kind(**{**RANGE, **options}, imperfections=imperfections)
    return device, device.init(xp, xp.random.key(seed), xp.zeros((size,)) + xp.asarray(g))


def pulsed(xp, device, state, directions, seed=100):
    """The state after each of some pulses to all devices."""
    states = []
    for t, d in enumerate(directions):
        state = device.pulse(
            xp, xp.random.key(seed + t), state, xp.zeros_like(state.g) + xp.asarray(np.array(d, float))
        )
        states.append(state)
    return states


def conductance(xp, state):
    return np.array(xp.to_numpy(state.g))


def close(found, expected, rtol=1e-12):
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=1e-17)


@pytest.mark.quick("torch")
def test_the_same_seed_gives_the_same_devices_on_every_backend(xp):
    """All imperfections at once, after pulses, programming and time."""

    def history(xp):
        device, state = made(xp, *ALL, size=40, seed=5, kind=SoftBounds, dg_min_std=0.3, dg_min_dtod=0.3)
        states = pulsed(xp, device, state, [1, 1, -1, 0])
        states.append(device.elapse(xp, states[-1], 20.0))
        states.append(device.program(xp, states[-1], xp.zeros((40,)) + 30e-6))
        seen = [xp.to_numpy(device.apparent(xp, s)) for s in states]
        return np.stack([*seen, xp.to_numpy(device.read(xp, xp.random.key(9), state, state.g))])

    torch = backends.get("torch", dtype="float64")
    with torch.scope():
        expected = history(torch)
    close(history(xp), expected)
    assert np.std(expected, axis=1).min() > 0.0


def test_every_imperfection_of_the_registry_is_tested_here():
    assert {type(i) for i in ALL} == set(IMPERFECTIONS.values())


def test_stuck_devices_are_as_many_as_said_and_never_move(xp):
    """The control is a fraction that is a fifth larger."""
    n, shares = 40_000, (0.1, 0.15, 0.25)
    device, state = made(xp, Stuck(at_min=shares[0], at_max=shares[1], at_random=shares[2]), size=n)
    start = conductance(xp, state)
    later = pulsed(xp, device, state, [1, 1, -1, 1])[-1]
    stuck = xp.to_numpy(device.fractions(xp, later)["stuck"])
    assert np.array_equal(stuck, conductance(xp, later) == start)
    at_bound = [np.isclose(start, g, rtol=1e-9, atol=0.0) for g in (1e-6, 101e-6)]
    counts = [np.sum(found) for found in at_bound]
    counts.append(stuck.sum() - sum(counts))
    for count, share in zip(counts, shares, strict=True):
        assert p_binomial(count, n, share) > FALSE_ALARM
        assert missed_binomial(n, share, 1.2 * share) < MISSED
    # the random levels are uniform: their place in a tenth of the range is binomial
    inside = start[stuck & ~at_bound[0] & ~at_bound[1]]
    assert p_binomial(np.sum(inside < 11e-6), len(inside), 0.1) > FALSE_ALARM
    assert missed_binomial(len(inside), 0.1, 0.15) < MISSED
    written = device.program(xp, later, xp.zeros((n,)) + 40e-6)
    assert np.array_equal(conductance(xp, written) == 40e-6, ~stuck)


def test_there_are_exactly_as_many_levels_as_said(xp):
    rng = np.random.default_rng(0)
    device, state = made(xp, Levels(5), size=400, g=rng.uniform(0.0, 110e-6, 400), dg_min=30e-6, dg_min_std=0.5)
    states = pulsed(xp, device, state, rng.integers(-1, 2, (20, 400)).astype(float))
    found = np.unique(np.concatenate([conductance(xp, s) for s in (state, *states)]))
    close(found, np.linspace(1e-6, 101e-6, 5))
    # a step below half the spacing never leaves a level
    device, state = made(xp, Levels(5))
    close(conductance(xp, pulsed(xp, device, state, [1] * 30)[-1]), MID)


def test_stochastic_rounding_to_levels_keeps_the_mean_and_a_pulse_of_zero_draws_nothing(xp):
    """A step of a quarter of the spacing leads up with probability 1/4; the control rounds to the nearest."""
    n = 20_000
    device, state = made(xp, Levels(5, stochastic=True), size=n, dg_min=6.25e-6)
    (after,) = pulsed(xp, device, state, [1])
    g = conductance(xp, after)
    close(np.unique(g), [MID, MID + 25e-6])
    assert p_binomial(np.sum(g > MID), n, 0.25) > FALSE_ALARM
    assert missed_binomial(n, 0.25, 0.3) < MISSED
    assert np.array_equal(conductance(xp, pulsed(xp, device, after, [0])[0]), g)


def test_write_noise_hides_the_conductance_and_does_not_add_up(xp):
    """After the second pulse the deviation is that after the first; the control is noise that adds up."""
    n, noise = 40_000, 3.0
    device, state = made(xp, WriteNoise(noise), size=n)
    plain, without = made(xp, size=n)
    hidden = pulsed(xp, device, state, [1, 1])
    assert np.array_equal(conductance(xp, hidden[1]), conductance(xp, pulsed(xp, plain, without, [1, 1])[1]))
    offsets = np.stack([xp.to_numpy(device.apparent(xp, s)) - conductance(xp, s) for s in hidden], axis=1) / STEP
    assert p_normal(offsets, [0.0, 0.0], noise**2 * np.eye(2)) > FALSE_ALARM
    summed = noise**2 * np.array([[1.0, 1.0], [1.0, 2.0]])
    assert missed_normal(n, [0.0, 0.0], noise**2 * np.eye(2), [0.0, 0.0], summed) < MISSED
    # no pulse, no new draw; programming leaves none
    rest = device.pulse(xp, xp.random.key(7), hidden[1], xp.zeros((n,)))
    assert np.array_equal(xp.to_numpy(device.apparent(xp, rest)), xp.to_numpy(device.apparent(xp, hidden[1])))
    written = device.program(xp, hidden[1], xp.zeros((n,)) + 40e-6)
    close(xp.to_numpy(device.apparent(xp, written)), 40e-6)


def test_read_noise_is_drawn_at_every_read_and_changes_nothing(xp):
    n, noise = 40_000, 0.03
    device = ConstantStep(**RANGE, imperfections=[ReadNoise(noise)])
    storage = SingleDevice(device)
    stored = storage.program(xp, xp.random.key(0), xp.zeros((n,)) + 0.25, 1.0)
    reads = np.stack([xp.to_numpy(storage.noisy(xp, xp.random.key(k), stored)) for k in (1, 2)], axis=1)
    # a range of 100 µS stands for weights of ±1
    deviation = 2.0 * noise
    assert p_normal(reads, [0.25, 0.25], deviation**2 * np.eye(2)) > FALSE_ALARM
    assert missed_normal(n, [0.25] * 2, deviation**2 * np.eye(2), [0.25] * 2, deviation**2 * np.ones((2, 2))) < MISSED
    close(xp.to_numpy(storage.weights(xp, stored)), 0.25)


def test_drift_is_a_power_law_in_the_time_since_the_last_write(xp):
    device, state = made(xp, Drift(nu=0.1, t0=2.0), g=80e-6)
    for seconds in (1.0, 5.0, 300.0):
        state = device.elapse(xp, state, seconds)
    close(conductance(xp, state), 80e-6 * (308.0 / 2.0) ** -0.1)
    before = conductance(xp, state)
    (state,) = pulsed(xp, device, state, [1])
    close(conductance(xp, device.elapse(xp, state, 6.0)), (before + STEP) * (8.0 / 2.0) ** -0.1)
    # it goes on from where it was, for a device without a pulse
    (state,) = pulsed(xp, device, device.elapse(xp, state, 6.0), [0])
    close(conductance(xp, device.elapse(xp, state, 10.0)), (before + STEP) * (18.0 / 2.0) ** -0.1)
    long = device.elapse(xp, state, 1e60)
    close(conductance(xp, long), 1e-6)


def test_the_exponents_of_drift_differ_from_device_to_device(xp):
    """ν from the conductances after a known time; the control is one ν for all."""
    n, nu, spread = 20_000, 0.3, 0.05
    device, state = made(xp, Drift(nu=nu, nu_dtod=spread), size=n, g=100e-6)
    found = -np.log(conductance(xp, device.elapse(xp, state, 9.0)) / 100e-6) / np.log(10.0)
    assert p_normal(found[:, None], [nu], [[spread**2]]) > FALSE_ALARM
    assert missed_normal(n, [nu], [[spread**2]], [nu], [[(0.9 * spread) ** 2]]) < MISSED


def test_decay_is_exponential(xp):
    device, state = made(xp, Decay(tau=4.0, rest=0.25), g=90e-6)
    for seconds in (0.5, 3.5, 6.0):
        state = device.elapse(xp, state, seconds)
    close(conductance(xp, state), 26e-6 + 64e-6 * np.exp(-10.0 / 4.0))


@pytest.mark.parametrize(("end", "last"), [("stay", MID + 3 * STEP), ("min", 1e-6), ("max", 101e-6)])
def test_a_device_survives_its_number_of_pulses(xp, end, last):
    device, state = made(xp, Endurance(4, end=end))
    path = [conductance(xp, s)[0] for s in pulsed(xp, device, state, [1, 0, 1, 1, -1, 1, 1, -1])]
    alive = MID + STEP * np.array([1, 1, 2, 3])
    close(path[:4], alive)
    close(path[4:], [MID + 2 * STEP if end == "stay" else last] * 4)
    worn = pulsed(xp, device, state, [1] * 4)[-1]
    assert bool(xp.to_numpy(device.fractions(xp, worn)["worn_out"])[0])
    frozen = conductance(xp, worn)
    close(conductance(xp, device.program(xp, worn, xp.zeros((1,)) + 30e-6)), frozen)


def test_the_number_of_pulses_that_devices_survive_is_log_normal(xp):
    """The logarithm of the limit; the control has 5 % more spread."""
    n, spread = 40_000, 0.5
    _, state = made(xp, Endurance(1000, spread=spread), size=n)
    found = np.log(xp.to_numpy(state.own[0]))[:, None]
    assert p_normal(found, [np.log(1000.0)], [[spread**2]]) > FALSE_ALARM
    assert missed_normal(n, [np.log(1e3)], [[spread**2]], [np.log(1e3)], [[(1.05 * spread) ** 2]]) < MISSED


@pytest.mark.parametrize("name", sorted(DEVICES))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(train=st.lists(st.sampled_from([-1, 0, 1, 2]), min_size=1, max_size=25), seed=st.integers(0, 2**31))
def test_no_train_of_pulses_leaves_the_bounds_and_no_pulse_moves_nothing(xp, name, train, seed):
    """With all imperfections at once, on every law of the step; 2 stands for some seconds without pulses."""
    device, state = made(
        xp, *ALL, size=60, seed=seed, kind=DEVICES[name], dg_min_std=1.5, dg_min_dtod=0.4, g_max_dtod=0.3
    )
    rng = np.random.default_rng(seed)
    for t, kind in enumerate(train):
        before = conductance(xp, state)
        if kind == 2:
            state = device.elapse(xp, state, float(rng.uniform(0.0, 100.0)))
        else:
            direction = kind * (rng.random(60) < 0.7).astype(float)
            state = device.pulse(xp, xp.random.key(seed + t), state, xp.asarray(direction))
            assert np.array_equal(before[direction == 0], conductance(xp, state)[direction == 0])
        g, lower, upper = (xp.to_numpy(a) for a in (state.g, state.lower, state.upper))
        assert (g >= lower).all()
        assert (g <= upper).all()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: Stuck(at_min=0.7, at_max=0.4), "at most 1"),
        (lambda: Levels(1), "number=1"),
        (lambda: WriteNoise(-1.0), "std=-1.0"),
        (lambda: Drift(t0=0.0), "t0=0.0"),
        (lambda: Decay(tau=1.0, rest=1.5), "rest=1.5"),
        (lambda: Endurance(10, end="off"), "end='off'"),
        (lambda: SoftBounds(pulse_energy=-1.0), "pulse_energy=-1.0: expected joules"),
    ],
)
def test_a_wrong_constant_is_named(wrong, words):
    with pytest.raises(ValueError, match=words):
        wrong()


def test_what_is_no_imperfection_is_refused():
    with pytest.raises(TypeError, match="such as Stuck"):
        SoftBounds(imperfections=["stuck"])
