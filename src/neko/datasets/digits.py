"""The digits of scikit-learn: 1,797 real handwritten digits of 8 × 8 pixels, embedded in that package."""

from __future__ import annotations

import numpy as np

from neko.datasets.dataset import Dataset


def load() -> Dataset:
    """Digits with the rows of an image as time: ``x`` (examples, 8, 8) in [0, 1].

    Every fifth example of a class is for the test.

    References
    ----------
    Alpaydin & Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning Repository.
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    x, y = (data.images / 16.0).astype(np.float32), data.target.astype(np.int64)
    test = np.zeros(len(y), dtype=bool)
    for digit in range(10):
        test[np.flatnonzero(y == digit)[::5]] = True
    return Dataset(x[~test], y[~test], x[test], y[test], 10)
