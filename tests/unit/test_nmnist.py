"""N-MNIST: the published counts, the steps of time, and the repository that the sample is made from."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from neko import datasets
from neko.datasets import events, fetch, nmnist

from loopback import served, zipped

PATH = Path(os.environ.get("NEKO_DATA") or "/none") / "nmnist_small" / "nmnist_small.npz"


@pytest.mark.skipif(not PATH.is_file(), reason="NEKO_DATA holds no nmnist_small")
def test_the_sample_is_the_published_one(monkeypatch):
    held = nmnist.read()
    monkeypatch.setattr(nmnist, "read", lambda: held)  # once is enough
    data = datasets.load("nmnist", counts=True, steps=68, pool=5)  # 340 ms hold all events
    assert data.x_train.shape == (1000, 68, 7 * 7 * 2)
    assert data.x_test.shape == (100, 68, 7 * 7 * 2)
    assert data.outputs == 10
    assert np.bincount(data.y_train).tolist() == [97, 116, 99, 93, 105, 92, 94, 117, 87, 100]
    assert np.bincount(data.y_test).tolist() == [8, 14, 8, 11, 14, 7, 10, 15, 2, 11]
    per_recording = np.concatenate([x.sum(axis=(1, 2)) for x in (data.x_train, data.x_test)])
    assert per_recording.sum() == 4_518_827
    assert (per_recording.min(), np.median(per_recording), per_recording.max()) == (1069, 4163.5, 7152)
    first = slice(*held["offsets"][:2])
    assert (np.diff(held["t"][first].astype(int)) >= 0).all()
    of_first = np.array(
        list(zip(*(held[name][first] for name in "xytp"), strict=True)), dtype=[(name, int) for name in "xytp"]
    )
    np.testing.assert_array_equal(data.x_train[0], events.binned(of_first, (34, 34, 2), steps=68, pool=5, counts=True))
    assert f"arrays:{fetch.arrays_digest(held)}" == nmnist.FILE.checksums[1]


def test_the_sample_is_made_from_its_repository(monkeypatch, tmp_path):
    monkeypatch.delenv("NEKO_DATA", raising=False)
    monkeypatch.setenv("NEKO_CACHE", str(tmp_path))
    # x = 3, y = 33; ON at 0x012345 µs, then OFF at 0x012346.
    root = "slayerPytorch-01beeeb/test/test_files/NMNISTsmall/"
    content = zipped(
        {
            f"{root}train1K.txt": b"#sample\t#class\n2\t7\n10\t1\n",
            f"{root}test100.txt": b"60001\t3\n",
            f"{root}2.bs2": bytes.fromhex("03 21 81 23 45  03 21 01 23 46"),
            f"{root}10.bs2": bytes.fromhex("00 00 ff ff ff"),
            f"{root}60001.bs2": b"",
            "slayerPytorch-01beeeb/other/2.bs2": b"",
        }
    )
    with served(content) as (url, seen):
        monkeypatch.setattr(nmnist, "ARCHIVE", nmnist.ARCHIVE._replace(urls=(url,)))
        arrays = nmnist.recordings()
        with pytest.raises(OSError, match=r"nmnist_small.npz' was made with 'arrays:"):
            nmnist.load()
        assert len(seen) == 1
    assert {name: array.tolist() for name, array in arrays.items()} == {
        "x": [3, 3, 0],
        "y": [33, 33, 0],
        "p": [1, 0, 1],
        "t": [0x12345, 0x12346, 0x7FFFFF],
        "offsets": [0, 2, 3, 3],
        "labels": [7, 1, 3],
        "sample_id": [2, 10, 60001],
        "is_test": [False, False, True],
    }
    assert [array.dtype.str for array in arrays.values()] == ["|u1"] * 3 + ["<u4", "<i8", "<i8", "<i4", "|b1"]
    monkeypatch.setattr(nmnist, "FILE", nmnist.FILE._replace(checksums=(f"arrays:{fetch.arrays_digest(arrays)}",)))
    data = nmnist.load(step=50.0, steps=3, pool=17)
    assert data.x_train[0].tolist() == [[0] * 8, [0, 0, 1, 0, 0, 0, 1, 0], [0] * 8]  # 74.6 ms; lower left square
    assert not data.x_train[1].any()  # later than all steps
    assert data.y_test.tolist() == [3]
