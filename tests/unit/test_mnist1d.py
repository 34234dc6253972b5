"""MNIST-1D by its recipe, against the frozen file of its authors."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from neko import datasets
from neko.datasets import mnist1d

COUNTS = [398, 396, 411, 394, 394, 402, 401, 404, 402, 398]
TEST_COUNTS = [102, 104, 89, 106, 106, 98, 99, 96, 98, 102]


def test_it_equals_the_frozen_file():
    path = Path(os.environ.get("NEKO_DATA", "")) / "mnist1d" / "mnist1d_data.npz"
    if not path.is_file():
        pytest.skip("NEKO_DATA holds no mnist1d")
    data, frozen = datasets.load("mnist1d"), np.load(path)
    np.testing.assert_allclose(data.x_train[..., 0], frozen["x"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(data.x_test[..., 0], frozen["x_test"], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(data.y_train, frozen["y"])
    np.testing.assert_array_equal(data.y_test, frozen["y_test"])
    np.testing.assert_allclose(mnist1d.templates(), frozen["templates_x"], rtol=0, atol=1e-6)


def test_its_form_and_counts():
    data, step = datasets.load("mnist1d"), datasets.load("mnist1d-step")
    assert data.x_train.shape == (4000, 40, 1)
    assert data.x_train.dtype == np.float32
    assert step.x_test.shape == (1000, 1, 40)
    np.testing.assert_array_equal(step.x_train[:, 0], data.x_train[:, :, 0])
    assert np.bincount(data.y_train).tolist() == COUNTS
    assert np.bincount(data.y_test).tolist() == TEST_COUNTS
    both = np.concatenate([data.x_train, data.x_test])
    assert both.mean() == pytest.approx(0.0, abs=1e-5)
    assert both.std() == pytest.approx(1.0, abs=1e-5)


def test_the_global_generator_is_left_alone():
    np.random.seed(5)
    expected = np.random.rand(3)
    np.random.seed(5)
    datasets.load("mnist1d")
    np.testing.assert_array_equal(np.random.rand(3), expected)


def test_smoothing_is_scipys():
    ndimage = pytest.importorskip("scipy.ndimage")
    rng = np.random.default_rng(0)
    for size, width in ((72, 2.0), (30, 0.7), (40, 3.3)):
        x = rng.standard_normal(size)
        np.testing.assert_allclose(mnist1d.smoothed(x, width), ndimage.gaussian_filter(x, width), rtol=0, atol=1e-14)
