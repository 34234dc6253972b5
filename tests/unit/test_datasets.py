"""The registry of data sets, what each holds, and the commands that list and fetch them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from neko import datasets
from neko.cli import app, common
from neko.datasets import Dataset, fetch, mnist

needs_mnist = pytest.mark.skipif(
    not (Path(os.environ.get("NEKO_DATA") or "/none") / "mnist").is_dir(), reason="NEKO_DATA holds no mnist"
)


@pytest.fixture
def nothing(monkeypatch, tmp_path):
    """No data folder, an empty cache, and no network: MNIST's mirrors are closed ports."""
    monkeypatch.delenv("NEKO_DATA", raising=False)
    monkeypatch.setenv("NEKO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fetch, "PAUSE", 0.0)
    closed = tuple(file._replace(urls=("http://127.0.0.1:1/mnist",)) for file in mnist.FILES.values())
    monkeypatch.setitem(datasets.DATASETS._entries, "mnist", datasets.DATASETS["mnist"]._replace(files=closed))


def test_digits_are_split_evenly_over_classes():
    data = datasets.load("digits")
    assert data.x_train.shape == (1433, 8, 8)
    assert data.x_test.shape == (364, 8, 8)
    assert data.x_train.dtype == np.float32
    assert (data.x_train.min(), data.x_train.max()) == (0.0, 1.0)
    counts = np.bincount(data.y_test)
    assert counts.max() - counts.min() <= 2
    np.testing.assert_array_equal(data.one_hot().y_test.argmax(axis=1), data.y_test)


@needs_mnist
def test_mnist_is_the_original():
    data = datasets.load("mnist")
    assert data.x_train.shape == (60000, 28, 28)
    assert data.x_test.shape == (10000, 28, 28)
    assert np.bincount(data.y_train).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(data.y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert data.x_train.max() == 1.0


def test_one_hot_takes_labels_with_and_without_time():
    x = np.zeros((2, 3, 1), dtype=np.float32)
    held = Dataset(x, np.array([0, 2]), x, np.array([1, 1]), 3, np.ones((2, 3)), None).one_hot()
    assert held.y_train.tolist() == [[1, 0, 0], [0, 0, 1]]
    assert held.mask_train.shape == (2, 3)
    timed = Dataset(x, np.array([[0, 1, 2], [2, 2, 0]]), x, np.array([[0, 0, 0], [1, 1, 1]]), 3).one_hot()
    assert timed.y_train.shape == (2, 3, 3)
    assert timed.y_train.dtype == np.float32
    np.testing.assert_array_equal(timed.y_train.argmax(axis=-1), [[0, 1, 2], [2, 2, 0]])
    with pytest.raises(TypeError, match=r"y_train has dtype 'float32'.*call one_hot\(\) once"):
        timed.one_hot()
    curves = Dataset(x, x, x, x, 1, task_type="regression")
    assert curves.one_hot() is curves


def test_an_unknown_name_lists_the_right_ones():
    with pytest.raises(ValueError, match=r"'minst'.*'ecg', 'evidence', 'fsdd', 'mnist'"):
        datasets.load("minst")


@pytest.mark.parametrize(
    ("name", "option", "known"), [("copy", "lenght", "'symbols', 'length'"), ("mnist", "phones", r"of \(\)")]
)
def test_an_unknown_option_is_named(name, option, known):
    with pytest.raises(TypeError, match=f"{name!r} has no option {option!r}.*{known}"):
        datasets.load(name, **{option: 3})


def test_every_entry_says_what_it_is():
    assert len(datasets.DATASETS) == 14
    for entry in datasets.DATASETS.values():
        assert entry.about
        assert entry.licence
        assert entry.load.__doc__
        for file in entry.files:
            assert bool(file.urls) != bool(file.made)
            assert all(url.startswith("https://") for url in file.urls)
            assert all(checksum.startswith(("sha256:", "git-blob:", "arrays:")) for checksum in file.checksums)
            assert file.size is None or file.size > 0


def run(*arguments):
    result = CliRunner().invoke(app, ["data", *arguments])
    return result.exit_code, " ".join(result.output.split())


def test_the_list_shows_where_each_set_is(nothing, tmp_path, monkeypatch):
    monkeypatch.setattr(common.console, "width", 160)
    code, output = run("list")
    assert code == 0
    for name, entry in datasets.DATASETS.items():
        assert name in output
        assert entry.about in output
        assert entry.licence in output
        expected = "not here" if entry.files or entry.tree else "built in"
        assert entry.place() == expected
        assert expected in output
    *most, last = (file.name for file in datasets.DATASETS["mnist"].files)
    for folder, names in (("here", most), ("cache", [last])):
        for name in names:
            (tmp_path / folder / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / name).write_bytes(b"")
    assert datasets.DATASETS["mnist"].place() == "not here"
    monkeypatch.setenv("NEKO_DATA", str(tmp_path / "here"))
    assert datasets.DATASETS["mnist"].place() == "NEKO_DATA and cache"
    assert "NEKO_DATA and cache" in run("list")[1]


@needs_mnist
def test_get_prints_where_the_files_are():
    code, output = run("get", "mnist", "copy")
    assert code == 0
    root = os.environ["NEKO_DATA"]
    assert output == " ".join(f"{root}/{file.name}" for file in mnist.FILES.values()) + " copy needs no file"


@pytest.mark.parametrize(
    ("names", "fault"),
    [
        (["minst"], "'minst': expected one of ['chaotic'"),
        (["copy", "timit"], "LDC93S1"),
        (["mnist"], "no download worked (http://127.0.0.1:1/mnist"),
    ],
)
def test_get_fails_in_one_line(nothing, names, fault):
    code, output = run("get", *names)
    assert code == 2
    assert fault in output
    assert "Traceback" not in output


def test_the_digits_are_those_of_scikit_learn():
    known = pytest.importorskip("sklearn.datasets").load_digits()
    digits = datasets.load("digits")
    x, y = np.concatenate([digits.x_train, digits.x_test]), np.concatenate([digits.y_train, digits.y_test])
    assert len(x) == 1797
    found, expected = (
        sorted((int(label), *(16 * image).astype(int).ravel().tolist()) for image, label in pairs)
        for pairs in (zip(x, y, strict=True), zip(known.images / 16, known.target, strict=True))
    )
    assert found == expected
    assert digits.x_train.min() == 0.0
    assert digits.x_train.max() == 1.0
