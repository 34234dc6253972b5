"""Events as spikes in steps of time, and data sets of Tonic."""

from __future__ import annotations

import numpy as np
import pytest

from neko.datasets import events

FIELDS = [("x", "<i8"), ("y", "<i8"), ("t", "<i8"), ("p", "<i8")]
FEW = np.array([(0, 0, 0, 0), (2, 1, 999, 1), (2, 1, 999, 1), (1, 0, 1000, 0), (2, 1, 4100, 1)], dtype=FIELDS)


def test_events_are_put_where_and_when_they_were():
    x = events.binned(FEW, (3, 2, 2), step=1.0, counts=True)
    assert x.shape == (5, 12)
    assert x.dtype == np.float32
    assert {(t, i): x[t, i] for t, i in np.argwhere(x)} == {(0, 0): 1, (0, 11): 2, (1, 1): 1, (4, 11): 1}
    np.testing.assert_array_equal(events.binned(FEW, (3, 2, 2), step=1.0), x > 0)


def test_squares_of_pixels_are_pooled():
    x = events.binned(FEW, (3, 2, 2), step=1.0, pool=2, counts=True)
    assert x.shape == (5, 4)  # two columns, of which the last is half empty, one row, two polarities
    assert {(t, i): x[t, i] for t, i in np.argwhere(x)} == {(0, 0): 1, (0, 3): 2, (1, 0): 1, (4, 3): 1}


def test_steps_cut_and_prolong():
    whole = events.binned(FEW, (3, 2, 2), step=1.0)
    np.testing.assert_array_equal(events.binned(FEW, (3, 2, 2), step=1.0, steps=2), whole[:2])
    longer = events.binned(FEW, (3, 2, 2), step=1.0, steps=9)
    np.testing.assert_array_equal(longer[:5], whole)
    assert not longer[5:].any()
    assert events.binned(FEW[:0], (3, 2, 2)).shape == (1, 12)


def test_a_cochlea_has_neither_rows_nor_polarities():
    heard = np.array([(0, 0, 1), (699, 900, 1)], dtype=[("x", int), ("t", int), ("p", int)])
    x = events.binned(heard, (700, 1, 1), step=0.5)
    assert np.argwhere(x).tolist() == [[0, 0], [1, 699]]


@pytest.mark.parametrize(
    ("sensor", "options", "fault"),
    [
        ((2, 2, 2), {}, "events have x from 0 to 2: expected 0 <= x < 2"),
        ((3, 2, 2), {"step": 0.0}, "step=0.0"),
        ((3, 2, 2), {"pool": 0}, "pool=0"),
        ((3, 2, 2), {"steps": 0}, "steps=0"),
    ],
)
def test_what_does_not_fit_is_named(sensor, options, fault):
    with pytest.raises(ValueError, match=fault):
        events.binned(FEW, sensor, **options)


class Recorded:
    """A data set with the interface of Tonic's."""

    sensor_size = (3, 2, 2)
    classes = ("left", "right", "none")

    def __init__(self, *pairs, transform=lambda recording: recording):
        self.pairs, self.transform = pairs, transform

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, i):
        recording, target = self.pairs[i]
        return self.transform(recording), target


def test_a_tonic_data_set_is_taken_as_it_is():
    data = events.from_tonic(Recorded((FEW, 1), (FEW[:3], 0)), Recorded((FEW[:4], 1)), step=1.0)
    assert data.x_train.shape == (2, 5, 12)
    assert data.x_test.shape == (1, 5, 12)
    assert data.outputs == 3
    assert (data.y_train.tolist(), data.y_test.tolist()) == ([1, 0], [1])
    assert data.mask_train.tolist() == [[1, 1, 1, 1, 1], [1, 0, 0, 0, 0]]
    assert data.mask_test.tolist() == [[1, 1, 0, 0, 0]]
    np.testing.assert_array_equal(data.x_train[0], events.binned(FEW, (3, 2, 2), step=1.0))
    fixed = events.from_tonic(Recorded((FEW, 1), (FEW[:3], 0)), Recorded((FEW[:4], 1)), step=1.0, steps=3)
    assert fixed.x_train.shape == (2, 3, 12)
    assert fixed.mask_train is None


def test_frames_of_a_transform_keep_their_axes():
    def frames(recording):
        return np.stack([np.full((2, 2, 3), k) for k in range(len(recording))]).astype(np.int16)

    data = events.from_tonic(Recorded((FEW, 1), transform=frames), Recorded((FEW[:2], 2), transform=frames))
    assert data.x_train.shape == (1, 5, 12)
    assert data.x_train[0, :, 7].tolist() == [0, 1, 2, 3, 4]
    assert data.mask_test.tolist() == [[1, 1, 0, 0, 0]]


def test_what_tonic_does_not_say_is_asked_for():
    with pytest.raises(ValueError, match="sensor_size=None"):
        events.from_tonic([(FEW, 0)], [(FEW, 1)])
    assert events.from_tonic([(FEW, 0)], [(FEW, 1)], sensor_size=(3, 2, 2)).outputs == 2
    with pytest.raises(TypeError, match="targets such as 'left'"):
        events.from_tonic(Recorded((FEW, "left")), Recorded((FEW, "left")))
    with pytest.raises(ValueError, match=r"1 and 0 recordings of \[12\] inputs"):
        events.from_tonic(Recorded((FEW, 0)), Recorded())


def test_frames_are_those_of_tonic():
    transforms = pytest.importorskip("tonic.transforms")
    rng = np.random.default_rng(0)
    some = np.zeros(500, dtype=FIELDS)
    for name, size in (("x", 34), ("y", 34), ("p", 2)):
        some[name] = rng.integers(size, size=500)
    some["t"] = np.sort(rng.integers(20_000, size=500))
    some["t"][0] = 0  # Tonic begins its windows at the first event
    frames = transforms.ToFrame(sensor_size=(34, 34, 2), time_window=1000.0, include_incomplete=True)(some)
    mine = events.binned(some, (34, 34, 2), step=1.0, counts=True)
    np.testing.assert_array_equal(mine, frames.reshape(len(frames), -1))
