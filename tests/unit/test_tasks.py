"""The generated tasks: what their inputs and targets must have in common, exactly."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from neko import datasets
from significance import FALSE_ALARM, MISSED, missed_binomial, p_binomial

SMALL = {
    "pattern": {"steps": 50, "inputs": 5},
    "evidence": {"train": 6, "test": 5, "cue": 10, "pause": 5, "delay": 20, "recall": 8},
    "store-recall": {"train": 6, "test": 5, "slot": 10},
    "copy": {"train": 6, "test": 5},
    "chaotic": {"train": 6, "test": 5, "steps": 20},
}


def assert_rate(trues, n, p, control):
    """Of `n` independent draws as many are true as with probability `p`.

    False alarm and power as in `significance`; `control` is the probability that would be found out.
    """
    assert p_binomial(trues, n, p) > FALSE_ALARM
    assert missed_binomial(n, p, control) < MISSED


def assert_spikes(spikes, p):
    """Independent spikes with probability `p`, not with half of it."""
    assert_rate(np.count_nonzero(spikes), spikes.size, p, 0.5 * p)


@pytest.mark.parametrize("name", sorted(SMALL))
def test_a_seed_gives_the_same_arrays_and_another_one_others(name):
    first, again, other = (datasets.load(name, seed=seed, **SMALL[name]) for seed in (3, 3, 4))
    for field in ("x_train", "y_train", "x_test", "y_test", "mask_train"):
        np.testing.assert_array_equal(getattr(first, field), getattr(again, field))
    assert not np.array_equal(first.x_train, other.x_train)
    assert not np.array_equal(first.x_test, other.x_test)
    assert first.x_train.dtype == np.float32


@pytest.mark.parametrize("name", sorted(set(SMALL) - {"pattern", "chaotic"}))
def test_the_test_set_is_drawn_apart_from_the_training_set(name):
    data = datasets.load(name, **SMALL[name])
    more = datasets.load(name, **SMALL[name] | {"train": 9})
    assert len(more.x_train) == 9
    np.testing.assert_array_equal(more.x_test, data.x_test)
    assert not np.array_equal(data.x_train[:5], data.x_test)
    assert data.task_type == "classification"


def test_the_global_generator_is_left_alone():
    np.random.seed(5)
    expected = np.random.rand(3)
    np.random.seed(5)
    for name, options in SMALL.items():
        datasets.load(name, **options)
    np.testing.assert_array_equal(np.random.rand(3), expected)


def test_a_pattern_is_a_normalised_sum_of_four_sines():
    data = datasets.load("pattern", examples=3, outputs=2)
    assert data.x_train.shape == (3, 1000, 100)
    assert data.y_train.shape == (3, 1000, 2)
    assert data.outputs == 2
    assert data.task_type == "regression"
    assert data.one_hot() is data
    np.testing.assert_array_equal(data.x_test, data.x_train)
    np.testing.assert_array_equal(np.abs(data.y_train).max(axis=1), 1.0)
    np.testing.assert_array_equal(data.y_train[:, 0], 0.0)
    # Whole cycles in T - 1 steps: nothing but a constant and the four frequencies.
    amplitudes = np.abs(np.fft.rfft(data.y_train[:, :-1].astype(float), axis=1)) / 999
    assert set(np.flatnonzero((amplitudes > 1e-6).any(axis=(0, 2)))) == {0, 1, 2, 3, 5}
    sines = amplitudes[:, [1, 2, 3, 5]]
    assert (sines.max(axis=1) / sines.min(axis=1)).max() < 4.0  # amplitudes between 0.5 and 2
    assert_spikes(data.x_train, 0.05)
    assert not np.allclose(data.y_train[0], data.y_train[1], atol=0.1)


def test_evidence_is_the_majority_of_the_cues():
    n = 600
    options = {"train": n, "test": 1, "cue": 4, "pause": 2, "delay": 10, "recall": 5, "group": 3, "noise": 0.1}
    data = datasets.load("evidence", rate=1.0, **options)
    x = data.x_train.reshape(n, 7 * 6 + 10 + 5, 4, 3)
    cues = x[:, :42, :2].reshape(n, 7, 6, 2, 3)
    assert not cues[:, :, :2].any()
    shown = cues[:, :, 2:].mean(axis=(2, 4))  # with rate 1 a cue fills its group
    np.testing.assert_array_equal(shown.sum(axis=-1), 1.0)
    right = shown[..., 1].sum(axis=1)
    np.testing.assert_array_equal(data.y_train, right >= 4)
    assert not x[:, 42:52, :3].any()
    assert not x[:, :-5, 2].any()
    assert x[:, -5:, 2].all()
    assert not x[:, -5:, :2].any()
    assert_spikes(x[:, :, 3], 0.1)
    expected = np.zeros((n, 57))
    expected[:, -5:] = 1.0
    np.testing.assert_array_equal(data.mask_train, expected)
    # A cue is on the side of its sequence with probability 0.7; how many have six or seven cues on one side?
    one_sided, of_fair_cues = (stats.binom.sf(5, 7, p) + stats.binom.cdf(1, 7, p) for p in (0.7, 0.5))
    assert_rate(np.count_nonzero(np.maximum(right, 7 - right) >= 6), n, one_sided, of_fair_cues)
    # The side is drawn with even chances; if it were always the right one:
    assert_rate(data.y_train.sum(), n, 0.5, stats.binom.sf(3, 7, 0.7))


def test_evidence_in_its_usual_size():
    data = datasets.load("evidence", train=20, test=2)
    assert data.x_train.shape == (20, 2250, 40)
    assert_spikes(data.x_train[:, -150:, 20:30], 0.04)
    assert_spikes(data.x_train[..., 30:], 0.01)
    # One of the two groups is active in 100 of 150 steps.
    assert_rate(np.count_nonzero(data.x_train[:, :1050, :20]), 20 * 7 * 100 * 10, 0.04, 0.02)
    assert datasets.load("evidence", train=2, test=2, masked=False).mask_train is None
    assert data.one_hot().y_train.shape == (20, 2)


def test_recall_is_the_last_stored_bit():
    data = datasets.load("store-recall", train=200, test=1, slot=3, group=2, rate=1.0)
    assert data.x_train.shape == (200, 36, 8)
    slots = data.x_train.reshape(200, 12, 3, 4, 2)
    assert (slots == slots[:, :, :1, :, :1]).all()
    y, mask = (a.reshape(200, 12, 3) for a in (data.y_train, data.mask_train))
    assert (y == y[..., :1]).all()
    assert (mask == mask[..., :1]).all()
    recalled = []
    for sequence, targets, counts in zip(slots[:, :, 0, :, 0], y[..., 0], mask[..., 0], strict=True):
        stored = None
        for (zero, one, store, recall), target, counted in zip(sequence, targets, counts, strict=True):
            assert counted == recall
            assert zero + one + recall == 1.0
            if store:
                assert stored is None
                stored = int(one)
            if recall:
                assert target == stored
                recalled.append(stored)
                stored = None
            else:
                assert target == 0
    assert len(recalled) >= 200
    assert mask.any(axis=(1, 2)).all()
    assert_rate(sum(recalled), len(recalled), 0.5, 0.9)


def test_store_recall_in_its_usual_size():
    data = datasets.load("store-recall", train=10, test=2)
    assert data.x_train.shape == (10, 2400, 40)
    recall = data.mask_train > 0
    assert_spikes(data.x_train[..., 30:][recall], 0.05)
    assert_spikes(data.x_train[..., :20][~recall], 0.025)
    assert not data.x_train[..., :20][recall].any()
    assert data.one_hot().y_train.shape == (10, 2400, 2)


@pytest.mark.parametrize("hold", [1, 3])
def test_copied_symbols_are_those_shown(hold):
    data = datasets.load("copy", train=50, test=3, symbols=5, length=4, delay=6, hold=hold)
    assert data.x_train.shape == (50, 15 * hold, 6)
    assert data.outputs == 5
    x = data.x_train.reshape(50, 15, hold, 6)
    y, mask = (a.reshape(50, 15, hold) for a in (data.y_train, data.mask_train))
    for part in (x, y, mask):
        assert (part == part[:, :, :1]).all()
    np.testing.assert_array_equal(x[:, :4, 0].sum(axis=-1), 1.0)
    np.testing.assert_array_equal(x[:, :4, 0].argmax(axis=-1), y[:, -4:, 0])
    assert not x[:, :4, 0, 5].any()
    assert x[:, 10, 0].tolist() == [[0.0] * 5 + [1.0]] * 50
    assert not x[:, 4:10].any()
    assert not x[:, 11:].any()
    assert mask[0, :, 0].tolist() == [0.0] * 11 + [1.0] * 4
    assert set(y[:, -4:].ravel()) == set(range(5))  # one of five is left out of 200 draws once in 10^18


@pytest.mark.parametrize(
    ("name", "options", "fault"),
    [
        ("pattern", {"examples": 0}, "examples=0: expected a positive integer"),
        ("pattern", {"cycles": (1, 25), "steps": 50}, r"cycles=\(1, 25\).*less than steps / 2 = 25"),
        ("pattern", {"cycles": ()}, r"cycles=\(\)"),
        ("pattern", {"rate": 50.0}, r"rate=50.0: expected a probability in \[0, 1\]"),
        ("evidence", {"cues": 6}, "cues=6: expected an odd number"),
        ("evidence", {"delay": -1}, "delay=-1"),
        ("evidence", {"bias": float("nan")}, "bias=nan"),
        ("evidence", {"seed": -1}, "seed=-1"),
        ("store-recall", {"p_recall": 0.0}, "p_recall=0.0: expected both above 0"),
        ("store-recall", {"slots": 1}, "slots=1"),
        ("copy", {"symbols": 1}, "symbols=1"),
        ("copy", {"length": 2.5}, "length=2.5"),
        ("copy", {"train": True}, "train=True"),
    ],
)
def test_a_size_out_of_range_is_named(name, options, fault):
    with pytest.raises(ValueError, match=fault):
        datasets.load(name, **options)
