"""1,797 real handwritten digits of 8 × 8 pixels, which come with neko."""

from __future__ import annotations

import gzip
from importlib import resources

import numpy as np

from neko.datasets.dataset import Dataset
from neko.datasets.entry import DATASETS


@DATASETS.register("digits", about="1,797 handwritten digits of 8 × 8 pixels", licence="CC BY 4.0")
def load() -> Dataset:
    """Digits with the rows of an image as time: ``x`` (examples, 8, 8) in [0, 1].

    Every fifth example of a class is for the test.

    References
    ----------
    Alpaydin & Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, CC BY 4.0,
    doi:10.24432/C50P49: its test set, in the file that scikit-learn distributes, unchanged.
    """
    packed = resources.files("neko.datasets").joinpath("digits.csv.gz").read_bytes()
    table = np.loadtxt(gzip.decompress(packed).decode().splitlines(), delimiter=",")  # 64 pixels from 0 to 16, class
    x, y = (table[:, :-1].reshape(-1, 8, 8) / 16.0).astype(np.float32), table[:, -1].astype(np.int64)
    test = np.zeros(len(y), dtype=bool)
    for digit in range(10):
        test[np.flatnonzero(y == digit)[::5]] = True
    return Dataset(x[~test], y[~test], x[test], y[test], 10)
