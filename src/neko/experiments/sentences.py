"""Sentences with a phone in every frame: batches for training, and the errors of speakers."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from neko import datasets

READ = 8
"""Sentences of a speaker, which are consecutive in the data."""


class Sentences(NamedTuple):
    """Features (sentences, time, n_in), phones and mask (sentences, time), as `neko.datasets.Dataset` has them."""

    x: np.ndarray
    y: np.ndarray
    mask: np.ndarray

    @property
    def frames(self) -> np.ndarray:
        """Frames up to the last valid one of each sentence, (sentences,)."""
        found: np.ndarray = self.mask.shape[1] - np.argmax(self.mask[:, ::-1] > 0.0, axis=1)
        return found

    def rows(self, rows: np.ndarray) -> Sentences:
        """Some of the sentences, padded to the longest of them."""
        end = int(self.frames[rows].max())
        return Sentences(self.x[rows, :end], self.y[rows, :end], self.mask[rows, :end])

    def shortest(self, count: int) -> Sentences:
        return self.rows(np.argsort(self.frames)[:count])

    def repeated(self, times: int) -> Sentences:
        """Every frame as a number of equal steps."""
        return Sentences(*(np.repeat(a, times, axis=1) for a in self))

    def wrong(self, predictions: np.ndarray) -> np.ndarray:
        """1 at valid frames that are wrong, (sentences, time), from class probabilities (sentences, steps, classes), of
        which the mean over the steps of a frame counts."""
        of_frames = predictions.reshape(*self.y.shape, -1, predictions.shape[-1]).mean(axis=2)
        found: np.ndarray = self.mask * (of_frames.argmax(axis=-1) != self.y)
        return found

    def of_speakers(self, wrong: np.ndarray) -> np.ndarray:
        """Percentage of each speaker's valid frames that are wrong, (speakers,)."""
        counts = [a.reshape(-1, min(READ, len(a)) * a.shape[1]).sum(axis=1) for a in (wrong, self.mask)]
        found: np.ndarray = 100.0 * counts[0] / counts[1]
        return found


@functools.cache
def load(name: str, **options: int) -> tuple[Sentences, Sentences, int]:
    """Sentences to train, sentences to test and the number of phones of a data set, which is read once."""
    data = datasets.load(name, **options)
    ones = [
        np.ones(y.shape, np.float32) if mask is None else mask for y, mask in zip(data[1:4:2], data[5:7], strict=True)
    ]
    return Sentences(data.x_train, data.y_train, ones[0]), Sentences(data.x_test, data.y_test, ones[1]), data.outputs


class Batches:
    """Batches of sentences of similar length, in another order and with other noise in every pass.

    Parameters
    ----------
    sentences : Sentences
        Sentences to train.
    size : int
        Sentences in a batch.
    noise : float
        Deviation of the normal noise that is added to the features of every frame.
    dropout : float
        Share of the features, of every frame, that are zero; the others grow by ``1 / (1 - dropout)``.
    repeats : int
        Steps of a frame.
    seed : int
        Seed of order and noise.
    """

    def __init__(self, sentences: Sentences, size: int, noise: float, dropout: float, repeats: int, seed: int) -> None:
        self.sentences, self.size, self.repeats = sentences, size, repeats
        self.noise, self.dropout = noise, dropout
        self.rng = np.random.default_rng(seed)

    def __len__(self) -> int:
        return math.ceil(len(self.sentences.x) / self.size)

    def __iter__(self) -> Iterator[Sentences]:
        # Lengths vary by a tenth in the sorting, so that batches differ from pass to pass.
        frames = self.sentences.frames
        order = np.argsort(frames * np.exp(0.1 * self.rng.standard_normal(len(frames))))
        for number in self.rng.permutation(len(self)):
            x, y, mask = self.sentences.rows(order[number * self.size : (number + 1) * self.size])
            noisy = x + self.noise * self.rng.standard_normal(x.shape, np.float32)
            kept = self.rng.random(x.shape, np.float32) >= self.dropout
            yield Sentences(noisy * kept / np.float32(1.0 - self.dropout), y, mask).repeated(self.repeats)
