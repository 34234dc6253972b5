"""The result of every loader."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np


class Dataset(NamedTuple):
    """Training and test examples as NumPy arrays.

    Attributes
    ----------
    x_train, x_test
        Inputs (examples, time, n_in), float32.
    y_train, y_test
        Classification: class numbers (examples,), or (examples, time) where each step has its own. Regression:
        values (examples, time, outputs), float32.
    outputs
        Number of outputs that a network needs: classes, or values per step.
    mask_train, mask_test
        (examples, time), float32; 1 where a frame counts, 0 where it is padding or has no target. None if every
        frame counts. Masked frames count in no loss, metric or firing rate; the network still reads their
        input. Labels of masked frames are 0 without meaning.
    task_type
        ``"classification"`` or ``"regression"``.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    outputs: int
    mask_train: np.ndarray | None = None
    mask_test: np.ndarray | None = None
    task_type: Literal["classification", "regression"] = "classification"

    def first(self, train: int | None, test: int | None) -> Dataset:
        """The first `train` examples to train and the first `test` to test; None for all."""
        a, b = slice(train), slice(test)
        return self._replace(
            x_train=self.x_train[a],
            y_train=self.y_train[a],
            x_test=self.x_test[b],
            y_test=self.y_test[b],
            mask_train=None if self.mask_train is None else self.mask_train[a],
            mask_test=None if self.mask_test is None else self.mask_test[b],
        )

    def one_hot(self) -> Dataset:
        """The data set with class numbers as rows of the identity, (…, outputs); a regression is returned unchanged.

        Raises
        ------
        TypeError
            If the labels of a classification are not integers, for example one-hot already.
        """
        if self.task_type == "regression":
            return self
        for name in ("y_train", "y_test"):
            if not np.issubdtype(getattr(self, name).dtype, np.integer):
                raise TypeError(
                    f"{name} has dtype {str(getattr(self, name).dtype)!r}: expected class numbers of an integer dtype; "
                    "call one_hot() once, on the data set as it was loaded"
                )
        eye = np.eye(self.outputs, dtype=np.float32)
        return self._replace(y_train=eye[self.y_train], y_test=eye[self.y_test])


def padded(arrays: Sequence[np.ndarray], length: int | None = None) -> np.ndarray:
    """Arrays (time, …) of different lengths as one (examples, time, …), with zeros after their ends; the time is that
    of the longest, or `length`."""
    length = max(map(len, arrays)) if length is None else length
    whole = np.zeros((len(arrays), length, *arrays[0].shape[1:]), dtype=arrays[0].dtype)
    for row, array in zip(whole, arrays, strict=True):
        row[: len(array)] = array
    return whole
