"""Codes of values: sequences worked on paper, bounds of decoding, Poisson statistics, and errors of published codes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neko.encoders import resolve
from neko.encoders.burst import Burst
from neko.encoders.gaussian import Gaussian
from neko.encoders.latency import Latency
from neko.encoders.phase import Phase
from neko.encoders.place import Place
from neko.encoders.poisson import Poisson
from neko.encoders.rate import Rate


def word(spikes):
    return "".join(str(int(z)) for z in spikes)


def times(spikes):
    return np.flatnonzero(spikes).tolist()


# Worked on paper


def test_place():
    """Four cells of width ½ from -1 to 1; what lies outside is in the cells at the ends."""
    cells = Place(4, low=-1.0, high=1.0).encode([-1.0, -0.6, 0.1, 0.99, 1.0, 7.0, -7.0])
    assert [times(z) for z in cells] == [[0], [0], [2], [3], [3], [3], [0]]
    two = Place(2).encode([[[0.1, 0.9], [0.9, 0.9]]])[0]
    assert [word(z) for z in two] == ["1001", "0011"]  # cell k of channel c is at 2 k + c


def test_gaussian():
    """Centres -¼, ¼, ¾, 1¼ and σ = ½: activations of 0.3 are exp(-2 (0.55², 0.05², 0.45², 0.95²))."""
    code = Gaussian(4, beta=1.0)
    assert word(code.encode([0.3])[0]) == "0100"
    assert [word(z) for z in Gaussian(4, nearest=2).encode([0.3, 0.2])] == ["0110", "1100"]
    assert word(Gaussian(4, beta=1.0, threshold=0.6).encode([0.3])[0]) == "0110"  # .546 .995 .667 .164
    timed = Gaussian(4, beta=1.0, latency=True)
    assert timed.steps == 10
    z = timed.encode([0.3])
    assert [times(neuron) for neuron in z.T] == [[5], [0], [3], [8]]
    assert times(timed.encode([0.0])[:, 3]) == []  # exp(-3.125) = .044: in step 10, after the window


def test_rate():
    """u = ½, then .9, 1.3 with a spike, .7, 1.1 with a spike, .5."""
    assert word(Rate(5).encode([0.4])) == "01010"
    assert word(Rate(4, low=-1.0).encode([-0.4, -1.0, 1.0])) == "0100" + "0000" + "1111"


def test_phase():
    """The examples of Kim et al. (2018): eight phases, most significant first."""
    values = {192: "11000000", 1: "00000001", 128: "10000000", 255: "11111111", 0: "00000000"}
    assert word(Phase().encode(np.array(list(values)) / 256)) == "".join(values.values())
    assert word(Phase(3).encode([1.0, 0.7])) == "111" + "101"  # 0.7 · 8 = 5.6


def test_latency():
    """The linear example of snnTorch's documentation, and 4 ln(v / (v - 0.2)) = .89, 2.77, 6.44, never."""
    z = Latency(5).encode([0.02, 0.5, 1.0]).reshape(3, 5)
    assert [times(window) for window in z] == [[4], [2], [0]]
    values = [1.0, 0.4, 0.25, 0.2, 0.1]
    for clip, last in ((False, [9]), (True, [])):
        code = Latency(10, scale="logarithmic", tau=4.0, threshold=0.2, clip=clip)
        assert [times(w) for w in code.encode(values).reshape(5, 10)] == [[1], [3], [6], [9], last]
    assert times(Latency(10, tau=20.0).encode([0.8, 0.1])) == [4, 19]  # 18 steps are more than the window


def test_burst():
    """N = ⌈5 v⌉ spikes at intervals of ⌈7 - 5 v⌉."""
    z = Burst().encode([0.5, 1.0, 0.4, 0.1, 0.0]).reshape(5, 16)
    assert [times(window) for window in z] == [[0, 5, 10], [0, 2, 4, 6, 8], [0, 5], [0], []]


# Bounds


def within(bound):
    return lambda code, x: np.full_like(x, bound * (code.high - code.low))


def between_steps(code, v):
    """The values at half a step before and after; above the time of v = 1, up to 1."""
    t = np.rint(np.minimum(-code.tau * np.log1p(-code.threshold / v), code.steps - 1))
    ends = [code.threshold / -np.expm1(-(t + h) / code.tau) for h in (0.5, -0.5)]
    return np.where(t > 0, ends[1], 1.0) - ends[0]


BOUNDS = [
    ("place(cells=7)", within(1 / 14)),
    ("gaussian(neurons=6)", within(1 / 8)),
    ("gaussian(neurons=12, nearest=5)", within(3 / 20)),
    ("gaussian(neurons=6, latency=True, window=100)", within(1 / 8)),
    ("rate(steps=9)", within(1 / 18)),
    ("phase(steps=6)", within(1 / 64)),
    ("latency(steps=9)", within(1 / 16)),
    ("latency(steps=9, tau=5.0, threshold=0.0)", within(0.1)),
    ("latency(steps=40, scale='logarithmic', tau=12.0, threshold=0.1, clip=True)", between_steps),
    ("burst()", within(1 / 10)),
    ("burst(steps=5, n_max=4, t_min=1, t_max=1)", within(1 / 8)),
]


@pytest.mark.parametrize(("text", "bound"), BOUNDS, ids=[text for text, _ in BOUNDS])
@settings(max_examples=40, deadline=None, derandomize=True)
@given(v=st.lists(st.floats(0.105, 1.0) | st.just(1.0), min_size=1, max_size=8))
def test_decoding_is_within_its_bound(text, bound, v):
    code = resolve(text)
    x = np.array(v)
    assert (abs(code.decode(code.encode(x)) - x) <= bound(code, x) + 1e-9).all()


@pytest.mark.parametrize("text", [text for text, _ in BOUNDS if "logarithmic" not in text])
def test_values_from_end_to_end_are_within_the_bound_and_a_narrower_one_fails(text):
    code, x = resolve(text), np.linspace(0.0, 1.0, 1001)
    bound = dict(BOUNDS)[text](code, x)
    error = abs(code.decode(code.encode(x)) - x)
    assert (error <= bound + 1e-9).all()
    assert (error > 0.9 * bound).any()


@pytest.mark.parametrize("name", ["place", "gaussian", "rate", "phase", "latency", "burst", "poisson"])
def test_spikes_depend_on_the_place_in_the_range_and_nothing_else(name):
    """Scaled with its range by powers of two the signal has the same spikes; neighbours change nothing."""
    x = np.random.default_rng(0).random((3, 5, 2))
    z = resolve(name).encode(x)
    assert 0 < z.mean() < 1
    np.testing.assert_array_equal(resolve(f"{name}(low=-1.0, high=3.0)").encode(4.0 * x - 1.0), z)
    np.testing.assert_array_equal(resolve(name).encode(x[1:2]), z[1:2])
    np.testing.assert_array_equal(resolve(name).encode(np.concatenate([9.0 * x, x]))[3:], z)
    outside = resolve(name).encode(np.array([-3.0, 5.0]))
    if name != "poisson":  # a sample's random numbers depend on the past too
        np.testing.assert_array_equal(outside, resolve(name).encode(np.array([0.0, 1.0])))


# Poisson


def upper_tail(z):
    return 0.5 * math.erfc(z / math.sqrt(2.0))


def test_poisson_rate_is_that_of_at_least_one_event():
    """A z-test at 500 Hz and 1 ms, P = 1 - exp(-½); its control P = ½ differs by 69 standard errors."""
    n, p, control, limit = 100_000, -math.expm1(-0.5), 0.5, 6.0
    error, error_of_control = (math.sqrt(q * (1 - q) / n) for q in (p, control))
    assert 2 * upper_tail(limit) < 1e-6  # false alarms
    assert upper_tail((control - p - limit * error) / error_of_control) < 1e-6  # misses
    spikes = Poisson(n // 10, rate=500.0).encode(np.ones(10))
    assert abs(spikes.mean() - p) < limit * error
    assert abs(spikes.mean() - control) > limit * error
    other = Poisson(n // 10, rate=50.0, dt=10.0, high=2.0).encode(np.full(10, 2.0))
    assert abs(other.mean() - p) < limit * error
    assert Poisson(100).encode(np.zeros(10)).sum() == 0


def test_poisson_examples_channels_and_steps_are_independent():
    """Normalised products of pairs; each z-value has a false-alarm rate of 2e-9, and a shared stream gives √n = 141."""
    p, n = -math.expm1(-0.5), 20_000
    x = np.ones((4, 2, 3))
    x[:, 0, 0] = [0.1, 0.2, 0.3, 0.4]  # examples that differ in one sample
    code = Poisson(n, rate=500.0)
    z = (code.encode(x)[:, n:] - p) / math.sqrt(p * (1 - p))
    trains = z.transpose(0, 2, 1).reshape(12, n)
    pairs = (trains @ trains.T / math.sqrt(n))[np.triu_indices(12, 1)]
    assert abs(pairs).max() < 6.0
    assert abs(np.corrcoef(trains[:, 1:].ravel(), trains[:, :-1].ravel())[0, 1]) < 6.0 / math.sqrt(12 * n)
    assert math.sqrt(n) > 100.0  # a generator that starts anew for each example
    seeded = (Poisson(n, rate=500.0, seed=1).encode(x)[:, n:] - p) / math.sqrt(p * (1 - p))
    assert abs((seeded * z).sum()) < 6.0 * math.sqrt(z.size)


def test_poisson_repeats_itself_looks_at_the_past_only_and_leaves_the_global_generator_alone():
    x, code = np.random.default_rng(1).random((2, 6, 2)), Poisson(20)
    np.random.seed(5)
    before = np.random.get_state()[1].copy()
    z = code.encode(x)
    assert (np.random.get_state()[1] == before).all()
    np.testing.assert_array_equal(code.encode(x), z)
    np.testing.assert_array_equal(code.encode(x[:, :4]), z[:, :80])
    changed = x.copy()
    changed[:, 3] = 1.0 - x[:, 3]
    np.testing.assert_array_equal(code.encode(changed)[:, :60], z[:, :60])
    assert (code.encode(changed)[:, 80:] != z[:, 80:]).any()


# Errors of published codes, which these tests would catch


def test_published_errors_are_not_here():
    x = np.array([-0.1, 1.0])
    with pytest.raises(IndexError):  # a place without a clip
        np.eye(4)[np.floor(4 * x).astype(int)]
    assert times(np.eye(4)[int(np.floor(4 * x[0]))]) == [3]
    assert [times(z) for z in Place(4).encode(x)] == [[0], [3]]

    scaled = np.floor(0.5 * (1 - 2**-8) * 256)  # a range scaled to 1 - 2^-8
    assert f"{int(scaled):08b}" == "01111111"
    assert word(Phase().encode([0.5])) == "10000000"

    centres = (np.arange(1, 13) - 1.5) / 10  # twelve neurons, d = 0.1, with β / d for σ
    wrong = np.rint((1 - np.exp(-0.5 * ((0.5 - centres) / (10 / 1.5)) ** 2)) * 10)
    assert (wrong == 0).all()
    z = Gaussian(12, latency=True).encode([0.55])
    assert times(z[0]) == [6]  # only the best match is in the first step
    assert times(z[-1]) != [6]  # to which an index of 0 - 1 would wrap it
    assert z.sum() == 3  # exp(-1.125) = .325 on both sides, and exp(-4.5) = .011 is too late

    with pytest.raises(ValueError, match="expected at least"):  # ⌈16 - 14 · ½⌉ = 9: the third spike would be at 18
        Burst(16, t_max=16)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("place(cells=0)", "cells=0: expected a positive integer"),
        ("rate(low=2.0)", r"low=2\.0, high=1\.0: expected low below high"),
        ("rate(high=None)", "high=None: expected a finite number"),
        ("rate(steps=1.5)", r"steps=1\.5: expected a positive integer"),
        ("phase(steps=33)", "steps=33: expected at most 32 phases"),
        ("latency(steps=1)", "steps=1: expected an integer of at least 2"),
        ("latency(scale='log')", "scale='log': expected one of"),
        ("latency(threshold=1.0)", r"threshold=1\.0: expected a part of the range, below 1"),
        ("latency(scale='logarithmic', threshold=0.0)", r"threshold=0\.0: expected a finite number above 0"),
        ("burst(steps=12)", "steps=12: expected at least 13, the time steps of the longest burst"),
        ("burst(t_max=1)", "t_max=1: expected an integer of at least 2"),
        ("gaussian(neurons=2)", "neurons=2: expected an integer of at least 3"),
        ("gaussian(nearest=11)", "nearest=11: expected at most neurons=10"),
        ("gaussian(threshold=0.8)", r"between two centres the activation is 0\.755, and a spike needs 0\.8"),
        ("gaussian(latency=True, beta=6.0)", "a spike needs 0.05: expected a smaller beta, or a longer window"),
        ("poisson(rate=0.0)", r"rate=0\.0: expected a finite number above 0"),
        ("poisson(seed=-1)", "seed=-1: expected an integer of at least 0"),
    ],
)
def test_options_out_of_range_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        resolve(text)
