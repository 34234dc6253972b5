"""The tasks of the table of rules: their data, neurons that suit them, and what is reached without a network."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from neko import datasets
from neko.datasets import Dataset
from neko.experiments import heartbeats


class Part(NamedTuple):
    """Examples (examples, time, …) of a part of a task's data; `mask` is None where every frame counts."""

    x: np.ndarray
    y: np.ndarray
    mask: np.ndarray | None

    def rows(self, rows: Any) -> Part:
        return Part(self.x[rows], self.y[rows], None if self.mask is None else self.mask[rows])


class Data(NamedTuple):
    """The parts of a task's data. The last examples before the test, in their order, are the validation."""

    train: Part
    validation: Part
    test: Part
    outputs: int


@dataclass(frozen=True)
class Task:
    """One task.

    ``load`` gives its data from a seed, ``about`` is what it is, in a few words, and ``classes`` the number of classes,
    0 of a regression. ``validation`` examples are not trained on; 0 where sequences only are to be reproduced.
    """

    name: str
    about: str
    load: Callable[[int], Dataset]
    classes: int
    validation: int = 200

    @property
    def loss(self) -> str:
        return "sparse_categorical_crossentropy" if self.classes else "mse"

    @property
    def sequences(self) -> int:
        """Sequences of a small batch: two, or the only one that there is to reproduce."""
        return 2 if self.validation else 1

    @property
    def chance(self) -> float:
        """Accuracy of guessing, or the error, relative to the variance, of the mean."""
        return 1.0 / self.classes if self.classes else 1.0

    def data(self, seed: int) -> Data:
        """The data, in parts; sequences that only are to be reproduced are those of all parts."""
        found = self.load(seed)
        train = Part(found.x_train, found.y_train, found.mask_train)
        test = Part(found.x_test, found.y_test, found.mask_test)
        if not self.validation:
            return Data(train, train, test, found.outputs)
        first, last = slice(None, -self.validation), slice(-self.validation, None)
        return Data(train.rows(first), train.rows(last), test, found.outputs)


def generated(name: str, **options: Any) -> Callable[[int], Dataset]:
    return lambda seed: datasets.load(name, seed=seed, **options)


@functools.cache
def recorded(name: str, train: int, test: int, **options: Any) -> Dataset:
    """Some examples of a recorded set, drawn once, the same for every seed."""
    data, rng = datasets.load(name, **options), np.random.default_rng(0)
    a, b = (rng.permutation(len(y))[:n] for y, n in ((data.y_train, train), (data.y_test, test)))
    first = Part(data.x_train, data.y_train, data.mask_train).rows(a)
    last = Part(data.x_test, data.y_test, data.mask_test).rows(b)
    return Dataset(first.x, first.y, last.x, last.y, data.outputs, first.mask, last.mask)


def images(_: int) -> Dataset:
    return recorded("mnist", 2200, 1000)


def digits(_: int) -> Dataset:
    return recorded("fsdd", 2200, 300, step=20.0, steps=50)


def beats(_: int) -> Dataset:
    data = recorded("ecg", 2200, 800)
    x_train, x_test = heartbeats.inputs(data, None)[:2]
    return data._replace(x_train=x_train.astype(np.float32), x_test=x_test.astype(np.float32))


SIZES: dict[str, Any] = {"train": 2200, "test": 500}
STORE: dict[str, Any] = {"slots": 6, "slot": 10, "group": 5, "rate": 0.3, "p_store": 0.4, "p_recall": 0.4}
CUES: dict[str, Any] = {"cues": 5, "cue": 8, "pause": 2, "group": 5, "rate": 0.3, "noise": 0.05}
TASKS = {
    task.name: task
    for task in (
        Task(
            "store-recall",
            "a bit is stored on command and recalled on command, 6 slots of 10 ms",
            generated("store-recall", **SIZES, **STORE),
            2,
        ),
        Task(
            "copy",
            "three of four symbols, 3 ms each, are repeated after 9 ms",
            generated("copy", **SIZES, symbols=4, length=3, delay=3, hold=3),
            4,
        ),
        Task(
            "evidence",
            "on which side were more of five cues, which end 20 ms before the answer",
            generated("evidence", **SIZES, **CUES, delay=20, recall=10),
            2,
        ),
        Task(
            "pattern",
            "a sum of four sines over 100 ms from frozen Poisson input",
            generated("pattern", steps=100, inputs=20, rate=0.1),
            0,
            validation=0,
        ),
        Task("mnist", "images, a row of 28 pixels a step", images, 10),
        Task("ecg", "heartbeats in five classes, 94 steps of signal and difference", beats, 5),
        Task("fsdd", "spoken digits, 50 steps of 16 channels of spikes", digits, 10),
        Task(
            "chaotic",
            "a Mackey-Glass series, eight samples ahead, sequences of 100",
            generated("chaotic", train=440, test=100, steps=100, horizon=8),
            0,
            validation=40,
        ),
    )
}
