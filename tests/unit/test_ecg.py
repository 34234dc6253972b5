"""Heartbeats: the published arrays, disjoint subjects, a hidden length, and the records that they are made from."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest

from neko import datasets
from neko.datasets import ecg, fetch, mitdb

from loopback import served, zipped

FOLDER = Path(os.environ.get("NEKO_DATA") or "/none") / "ecg_heartbeat"
needs_data = pytest.mark.skipif(not FOLDER.is_dir(), reason="NEKO_DATA holds no ecg_heartbeat")


@pytest.fixture(scope="module")
def beats():
    return ecg.read()


@needs_data
def test_the_beats_are_the_published_ones(beats):
    assert np.bincount(beats.y).tolist() == [90589, 2779, 7236, 803, 8039]
    assert len(set(beats.record.tolist())) == 48
    train, test = ecg.rows(beats, "published")
    assert np.bincount(beats.y[train]).tolist() == [72471, 2223, 5788, 641, 6431]
    assert np.bincount(beats.y[test]).tolist() == [18118, 556, 1448, 162, 1608]
    with np.load(FOLDER / "mitbih_heartbeats.npz") as arrays:
        np.testing.assert_array_equal(train, arrays["train_index"])
        np.testing.assert_array_equal(test, np.sort(arrays["test_index"]))
        held = {name: arrays[name] for name in ecg.Beats._fields}
    assert f"arrays:{fetch.arrays_digest(held)}" == ecg.FILE.checksums[1]  # what a rebuilt file is held against


@needs_data
def test_the_balanced_subset_is_the_published_one():
    data = datasets.load("ecg")
    assert data.outputs == 5
    assert data.mask_train is None
    with np.load(FOLDER / "mitbih_balanced.npz") as arrays:
        for name in ("x_train", "y_train", "x_test", "y_test"):
            found = getattr(data, name)
            np.testing.assert_array_equal(found[..., 0] if name[0] == "x" else found, arrays[name])
            assert found.dtype == arrays[name].dtype


@needs_data
def test_subjects_of_the_test_are_not_in_training(beats):
    train, test = ecg.rows(beats, "patients")
    assert np.bincount(beats.y[train]).tolist() == [45845, 943, 3788, 415]
    assert np.bincount(beats.y[test]).tolist() == [44238, 1836, 3221, 388]
    records = [set(beats.record[part].tolist()) for part in (train, test)]
    assert list(map(len, records)) == [22, 22]
    assert not records[0] & records[1]
    assert set(beats.record.tolist()) - records[0] - records[1] == {102, 104, 107, 217}  # paced
    assert {201} <= records[0]  # one subject with 202
    assert {202} <= records[1]
    for part, whole, least in zip(ecg.rows(beats, "patients-balanced"), (train, test), (415, 388), strict=True):
        assert np.bincount(beats.y[part]).tolist() == [least] * 4
        assert len(set(part.tolist())) == len(part)
        assert set(part.tolist()) <= set(whole.tolist())
        assert (np.diff(beats.y[part].astype(int)) != 0).mean() > 0.5  # mixed


@needs_data
def test_a_hidden_length_can_not_be_read_off(beats):
    data = datasets.load("ecg", split="patients-balanced", hidden_length=True)
    assert data.x_train.shape == (1660, 30, 1)
    assert data.outputs == 4
    assert data.x_train.min(axis=1).max() == 0.0
    assert set(data.x_train.max(axis=1).ravel().tolist()) <= {0.0, 1.0}
    parts = ecg.rows(beats, "patients-balanced")
    length = [beats.length[part].astype(float) for part in parts]

    def explained(x_train, x_test):
        """R² of the length by least squares on the beat, on subjects that were not in training."""
        a, b = (np.column_stack([x[..., 0], np.ones(len(x))]) for x in (x_train, x_test))
        w = np.linalg.lstsq(a, length[0], rcond=None)[0]
        return 1.0 - np.mean((length[1] - b @ w) ** 2) / length[1].var()

    assert explained(*(ecg.padded(beats, part) for part in parts)) > 0.6
    assert explained(data.x_train, data.x_test) < 0.1


def test_a_window_holds_the_last_sample_and_is_scaled_anew():
    adc = np.zeros((2, 187), dtype=np.int16)
    adc[0, :3] = 4, 2, 6
    adc[1] = 100 + np.arange(187)
    beats = ecg.Beats(adc, np.array([6, 286]), np.array([0, 1]), np.array([100, 100]), np.array([3, 187], np.uint8))
    x = ecg.windows(beats, np.array([0, 1]))[..., 0]
    assert x[0].tolist() == [0.5, 0.0] + [1.0] * 28
    np.testing.assert_allclose(x[1], np.arange(30) / 29, rtol=1e-6)


def test_an_unknown_split_is_named(monkeypatch):
    beats = ecg.Beats(*[np.zeros(0)] * 5)
    with pytest.raises(ValueError, match=r"split='patient': expected one of .*'patients-balanced'"):
        ecg.rows(beats, "patient")


def words(*pairs):
    """An annotation file of pairs (code, value)."""
    return b"".join(struct.pack("<H", code << 10 | value) for code, value in pairs) + b"\0\0"


def test_records_are_read_as_their_format_says():
    # By hand, with signal 0 = -1, 2047, -2048 and signal 1 = 0, 0x123, 0: 0xFFF | 0x7FF, 0x123 | 0x800.
    assert mitdb.first_signal(bytes.fromhex("ff0f00 ff1723 000800")).tolist() == [-1, 2047, -2048]
    content = words((28, 18), (mitdb.AUX, 3))[:-2] + b"(N\0\0" + words((1, 50), (mitdb.SUB, 2), (mitdb.SKIP, 0))[:-2]
    content += struct.pack("<HH", 1, 4) + words((5, 6))  # 65536 + 4 samples after the skip, then six
    assert mitdb.read_annotations(content) == ([18, 68, 68 + 65536 + 10], [28, 1, 5])


def test_a_beat_goes_to_a_fifth_of_an_interval_past_the_next_annotation():
    signal = np.arange(1000, 0, -1, dtype=np.int16)
    found = list(mitdb.segments(signal, [10, 40, 100, 200], [1, 28, 5, 8]))
    assert [k for _, k in found] == [0, 2]  # neither the rhythm's note nor the last beat
    assert found[0][0].tolist() == list(range(39, -1, -3))  # 10 to 40 + 0.2 · 60 = 52
    assert len(found[1][0]) == -(-(100 + 160) // 3)  # 100 to 200 + 0.2 · (1000 - 200)


@pytest.fixture
def record(monkeypatch, tmp_path):
    """An archive of two records of one minute; what is expected of it; a cache, and no data folder."""
    monkeypatch.delenv("NEKO_DATA", raising=False)
    monkeypatch.setenv("NEKO_CACHE", str(tmp_path))
    rng = np.random.default_rng(0)
    members, beats = {"mitdb/RECORDS": b"100\n101\n", "mitdb/x/x_100.atr": b"\0\0"}, []
    for number in (100, 101):
        signal = rng.integers(-2048, 2048, (21600, 2))
        codes, gaps = rng.choice([1, 8, 5, 6, 12, 28], 70), rng.integers(100, 300, 70)
        low = (signal & 0xFFF).astype(np.uint16)
        triples = [low[:, 0] & 0xFF, low[:, 0] >> 8 | low[:, 1] >> 8 << 4, low[:, 1] & 0xFF]
        members[f"mitdb/{number}.dat"] = np.stack(triples, axis=1).astype(np.uint8).tobytes()
        members[f"mitdb/{number}.atr"] = words(*zip(codes.tolist(), gaps.tolist(), strict=True))
        at = np.cumsum(gaps)
        for i in range(69):
            if codes[i] != 28:
                after = at[i + 2] if i < 68 else 21600
                beat = signal[at[i] : at[i + 1] + int(0.2 * (after - at[i + 1])) : 3, 0]
                beats.append((beat - beat.min(), {1: 0, 8: 1, 5: 2, 6: 3, 12: 4}[codes[i]], number))
    return zipped(members), beats


def test_beats_are_made_from_the_records_once(record, monkeypatch, tmp_path):
    content, expected = record
    with served(content) as (url, seen):
        monkeypatch.setattr(mitdb, "ARCHIVE", mitdb.ARCHIVE._replace(urls=(url,)))
        arrays = mitdb.beats()
        assert len(seen) == 1
        assert arrays["y"].tolist() == [k for _, k, _ in expected]
        assert arrays["record"].tolist() == [number for _, _, number in expected]
        for row, span, length, (beat, _, _) in zip(
            arrays["adc"], arrays["range"], arrays["length"], expected, strict=True
        ):
            assert (span, length) == (beat.max(), min(len(beat), 187))
            np.testing.assert_array_equal(row, np.pad(beat, (0, 187))[:187])
        with pytest.raises(OSError, match=r"mitbih_heartbeats.npz' was made with 'arrays:.*has changed at its source"):
            ecg.read()
        assert not list(tmp_path.glob("ecg_heartbeat/*.npz"))
        right = ecg.FILE._replace(checksums=(f"arrays:{fetch.arrays_digest(arrays)}",))
        monkeypatch.setattr(ecg, "FILE", right)
        for _ in range(2):
            assert ecg.read()._asdict().keys() == arrays.keys()
            np.testing.assert_array_equal(ecg.read().adc, arrays["adc"])
        assert len(seen) == 1
        monkeypatch.setattr(ecg, "FILE", right._replace(made=None))  # kept: it is not made again
        assert len(ecg.read().y) == len(expected)


def test_a_damaged_archive_is_refused(record, monkeypatch, tmp_path):
    content = bytearray(record[0])
    content[300] ^= 1
    with served(bytes(content)) as (url, _):
        monkeypatch.setattr(mitdb, "ARCHIVE", mitdb.ARCHIVE._replace(urls=(url,)))
        with pytest.raises(OSError, match="wrong checksum"):
            ecg.read()
    assert not list(tmp_path.glob("mitdb/*.zip*[tp]"))
