"""What a loader returns."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Dataset(NamedTuple):
    """Training and test examples: ``x`` (examples, time, n_in) float32, ``y`` class numbers (examples,)."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    classes: int

    def one_hot(self) -> Dataset:
        """The same with labels as rows of the identity, (examples, classes)."""
        eye = np.eye(self.classes, dtype=np.float32)
        return self._replace(y_train=eye[self.y_train], y_test=eye[self.y_test])
