"""Sentences with a phone in every frame, as the experiment on speech has them."""

from __future__ import annotations

import numpy as np

from neko.experiments.sentences import READ, Batches, Sentences


def sentences(lengths):
    """Sentence k has the feature 100 k + t and the phone t % 3 in frame t, padded."""
    shape = (len(lengths), max(lengths) + 2)
    steps = np.broadcast_to(np.arange(shape[1]), shape)
    mask = (steps < np.array(lengths)[:, None]).astype(np.float32)
    x = (100.0 * np.arange(shape[0])[:, None] + steps) * mask
    return Sentences(x[..., None].astype(np.float32), (steps % 3) * mask.astype(int), mask)


def test_a_pass_gives_every_frame_once_with_its_own_noise():
    given = sentences([9, 3, 5, 7, 4])
    batches = Batches(given, 2, 0.1, 0.0, 3, seed=0)
    for seen in (list(batches), list(batches)):
        assert sorted(len(batch.x) for batch in seen) == [1, 2, 2]
        assert all(batch.x.shape[1] == batch.frames.max() for batch in seen)
        valid = np.concatenate([batch.x[batch.mask > 0] for batch in seen])[:, 0]
        assert (valid[::3] == valid[2::3]).all()
        found = np.sort(valid[::3])
        expected = np.sort(given.x[given.mask > 0][:, 0])
        assert 0.0 < np.abs(found - expected).max() < 0.6
        labels = np.concatenate([batch.y[batch.mask > 0] for batch in seen])
        np.testing.assert_array_equal(labels[::3], np.rint(valid[::3]) % 100 % 3)
    first, again = (next(iter(Batches(given, 2, 0.1, 0.0, 1, seed=0))) for _ in range(2))
    np.testing.assert_array_equal(first.x, again.x)


def test_dropout_keeps_the_mean():
    """By chance a share of 0.2 of 40,000 features differs by 0.01 with a probability below 1e-6 (five deviations)."""
    given = Sentences(np.ones((4, 100, 100), np.float32), np.zeros((4, 100), int), np.ones((4, 100), np.float32))
    ((x, _, _),) = Batches(given, 4, 0.0, 0.2, 1, seed=0)
    assert sorted({*x.ravel().tolist()}) == [0.0, 1.25]
    assert abs((x == 0.0).mean() - 0.2) < 0.01


def test_the_mean_prediction_of_a_frame_counts_and_padding_does_not():
    given = sentences([4, 2])
    predictions = np.zeros((2, 12, 3))
    predictions[0, :, 0] = 0.4  # right in frames 0 and 3 of four
    predictions[1, :4, 0] = 0.4
    predictions[1, 2, 1] = 0.9  # the second frame: one of its two steps is sure of the right phone
    wrong = given.wrong(predictions)
    assert wrong.tolist() == [[0, 1, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0]]


def test_errors_of_speakers_are_over_frames():
    given = sentences([6, 2] * READ)
    wrong = np.zeros_like(given.mask)
    wrong[0] = given.mask[0]  # of the first speaker's 32 frames, 6
    wrong[READ + 1] = given.mask[READ + 1]  # of the second's, 2
    np.testing.assert_allclose(given.of_speakers(wrong), [100 * 6 / 32, 100 * 2 / 32])


def test_the_shortest_sentences():
    found = sentences([9, 3, 5]).shortest(2)
    assert found.x.shape == (2, 5, 1)
    assert found.frames.tolist() == [3, 5]
