"""How conductances store weights: what each storage holds, how pulses change it, and where its zero is."""

from __future__ import annotations

import numpy as np
import pytest

from neko.devices import STORAGES, ConstantStep, DifferentialPair, OneSidedPair, SingleDevice, SoftBounds, Stuck

RANGE = {"g_min": 1e-6, "g_max": 101e-6, "dg_min": 2e-6}
pytestmark = pytest.mark.quick("torch")
W = np.linspace(-0.5, 0.5, 11)


def close(found, expected, **bounds):
    np.testing.assert_allclose(found, expected, **{"rtol": 1e-12, "atol": 1e-13, **bounds})


def held(xp, storage, stored):
    return np.array(xp.to_numpy(storage.weights(xp, stored)))


@pytest.mark.parametrize("kind", STORAGES.values(), ids=list(STORAGES))
def test_weights_are_held_clipped_moved_by_pulses_and_written(xp, kind):
    storage = kind(ConstantStep(**RANGE))
    key = xp.random.key(0)
    stored = storage.program(xp, key, xp.asarray(W), 0.5)
    close(held(xp, storage, stored), W)
    close(held(xp, storage, storage.program(xp, key, xp.asarray(4 * W), 0.5)), np.clip(4 * W, -0.5, 0.5))
    way = np.array([1.0, 0.0, -1.0] * 3 + [0.0, -1.0])
    moved = storage.pulse(xp, xp.random.key(1), stored, xp.asarray(way))
    close(held(xp, storage, moved), W + storage.weight_step(0.5) * way)
    close(held(xp, storage, storage.write(xp, moved, xp.asarray(W))), W)
    trained = storage.train(xp, key, stored, xp.asarray(2.0 * way[:11]), 3)
    close(held(xp, storage, trained)[1:-1], (W + 2.0 * storage.weight_step(0.5) * way)[1:-1])
    cut = storage.train(xp, key, stored, xp.asarray(9.0 * way[:11]), 2)
    close(held(xp, storage, cut), held(xp, storage, trained))


def test_a_pulse_changes_a_weight_by_what_its_storage_says():
    """Of a range of 50 steps: a pair moves both of its devices, a single device covers ±w_max with one range."""
    device = ConstantStep(**RANGE)
    steps = [kind(device).weight_step(0.5) for kind in (DifferentialPair, OneSidedPair, SingleDevice)]
    assert steps == pytest.approx([2 * 0.5 / 50, 0.5 / 50, 2 * 0.5 / 50])


@pytest.mark.parametrize("kind", [DifferentialPair, SingleDevice])
def test_opposite_pulses_lead_to_zero_if_weights_count_from_the_symmetry_point(xp, kind):
    """From the middle of the range they lead to the asymmetry instead: 0.3 of a single device's range, none of a
    pair's, whose two devices go the same way."""
    device = SoftBounds(**RANGE, up_down=0.3, dg_min_dtod=0.1)
    for reference in ("symmetry_point", "middle"):
        storage = kind(device, reference=reference)
        stored = storage.program(xp, xp.random.key(3), xp.asarray(W), 0.5)
        close(held(xp, storage, stored)[3:-3], W[3:-3])
        for t in range(240):
            way = xp.ones((11,)) * (1.0 if t % 2 == 0 else -1.0)
            stored = storage.pulse(xp, xp.random.key(t), stored, way)
        # the last of two pulses leaves a device half a step from where the two are equal
        left = np.abs(held(xp, storage, stored))
        step = storage.weight_step(0.5)
        assert left.max() < step if reference == "symmetry_point" else left.max() > 2.0 * step


def test_the_symmetry_point_is_where_both_steps_are_equal(xp):
    """Soft bounds: (Δ_up − Δ_down) / (Δ_up + Δ_down) of half the range from its middle, for every device its own."""
    device = SoftBounds(**RANGE, up_down=0.2, dg_min_dtod=0.3, g_max_dtod=0.1)
    state = device.init(xp, xp.random.key(0), xp.zeros((50,)) + 51e-6)
    up, down, lower, upper = (xp.to_numpy(a) for a in (state.step_up, state.step_down, state.lower, state.upper))
    point = 0.5 * (lower + upper) + 0.5 * (upper - lower) * (up - down) / (up + down)
    close(xp.to_numpy(device.symmetry_point(xp, state)), point, rtol=1e-10, atol=0.0)
    equal = ConstantStep(**RANGE)
    close(xp.to_numpy(equal.symmetry_point(xp, equal.init(xp, xp.random.key(0), xp.zeros((3,))))), 51e-6)


def test_a_one_sided_pair_is_refreshed_and_keeps_its_weight(xp):
    """Only up pulses: opposite wishes raise both conductances until the pair is rewritten with one at its bound."""
    storage = OneSidedPair(ConstantStep(**RANGE), refresh=0.51)
    stored = storage.program(xp, xp.random.key(0), xp.zeros((2,)) + 0.1, 0.5)
    assert xp.to_numpy(stored.devices[1].g) == pytest.approx([1e-6, 1e-6])
    for t in range(70):
        stored = storage.pulse(xp, xp.random.key(t), stored, xp.asarray(np.array([1.0 if t % 2 else -1.0, 0.0])))
    close(held(xp, storage, stored), [0.1, 0.1])
    plus, minus = (xp.to_numpy(d.g) for d in stored.devices)
    assert max(plus[0], minus[0]) <= 1e-6 + 0.51 * 100e-6
    # the 16th up pulse of 2 µS lifts g⁺ from 20 to 52 µS above its bound, and so again after the refresh
    assert xp.to_numpy(stored.refreshes).tolist() == [2.0, 0.0]
    assert xp.to_numpy(stored.devices[0].pulses).tolist() == [35.0, 0.0]


def test_the_healthy_device_of_a_pair_takes_what_a_stuck_one_cannot(xp):
    device = ConstantStep(**RANGE, imperfections=[Stuck(at_random=0.4)])
    storage = DifferentialPair(device)
    w = np.random.default_rng(0).uniform(-0.05, 0.05, 4000)
    stored = storage.program(xp, xp.random.key(0), xp.asarray(w), 0.5)
    stuck = [xp.to_numpy(device.fractions(xp, d)["stuck"]) for d in stored.devices]
    one = stuck[0] ^ stuck[1]
    level = sum(
        np.where(s, sign * xp.to_numpy(d.g), 0.0) for s, d, sign in zip(stuck, stored.devices, (1, -1), strict=True)
    )
    reach = np.where(stuck[0], level - 1e-6, level + 101e-6), np.where(stuck[0], level - 101e-6, level + 1e-6)
    expected = np.clip(w, 0.5 / 100e-6 * reach[1], 0.5 / 100e-6 * reach[0])
    close(held(xp, storage, stored)[one], expected[one])
    neither = ~stuck[0] & ~stuck[1]
    close(held(xp, storage, stored)[neither], w[neither])


def test_wrong_storages_are_refused():
    for wrong, words in (
        (lambda: OneSidedPair(SoftBounds(), reference="symmetry_point"), "expected 'middle'"),
        (lambda: OneSidedPair(SoftBounds(), refresh=0.0), "refresh=0.0"),
        (lambda: SingleDevice(SoftBounds(), reference="top"), "reference='top'"),
    ):
        with pytest.raises(ValueError, match=words):
            wrong()
    with pytest.raises(TypeError, match="expected a Device"):
        SingleDevice("soft_bounds")
