"""Spoken digits: the published counts, the filter bank, and the repository that they are made from."""

from __future__ import annotations

import io
import os
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from neko import datasets
from neko.datasets import fetch, fsdd

from loopback import served, zipped

PATH = Path(os.environ.get("NEKO_DATA") or "/none") / "fsdd" / "fsdd.npz"


@pytest.mark.skipif(not PATH.is_file(), reason="NEKO_DATA holds no fsdd")
def test_the_digits_are_the_published_ones(monkeypatch):
    held = fsdd.read()
    monkeypatch.setattr(fsdd, "read", lambda: held)  # once is enough
    data = datasets.load("fsdd", channels=1, steps=20)
    assert data.x_train.shape == (2700, 20, 1)
    assert data.x_test.shape == (300, 20, 1)
    assert np.bincount(data.y_train).tolist() == [270] * 10
    assert np.bincount(data.y_test).tolist() == [30] * 10
    assert set(np.unique(data.x_train)) == {0.0, 1.0}
    assert held["audio"][:5].tolist() == [-1489, -962, -606, 163, 1033]
    steps = np.minimum(np.ceil(np.diff(held["offsets"]) / 80), 20)
    assert data.mask_test.sum(axis=1).tolist() == steps[held["index"] < 5].tolist()
    assert not (data.x_train * (1 - data.mask_train)[..., None]).any()
    assert f"arrays:{fetch.arrays_digest(held)}" == fsdd.FILE.checksums[1]


@pytest.mark.parametrize("channel", [0, 7, 15])
def test_a_tone_is_loudest_in_its_own_filter(channel):
    tone = np.sin(2.0 * np.pi * fsdd.centres(16)[channel] * np.arange(8000) / 8000)
    x = fsdd.envelopes(tone, fsdd.bank(16), 80)[10:].mean(axis=0)
    assert x.argmax() == channel
    near = x[max(channel - 3, 0) : channel + 4]  # beyond, the skirts of the filters level out
    peak = near.argmax()
    assert (np.diff(near[: peak + 1]) > 0.01).all()
    assert (np.diff(near[peak:]) < -0.01).all()


def test_a_tone_has_the_envelope_of_its_formula():
    # Half a sine of amplitude A has the mean A / π, and a gammatone filter the gain 1 at its centre.
    filters = [fsdd.bank(16)[i] for i in (7, 7)]
    time = np.arange(8000) / 8000
    tone = np.sin(2.0 * np.pi * fsdd.centres(16)[7] * time) * np.where(time < 0.5, 1.0, 0.1)
    x = fsdd.envelopes(tone, filters, 80)
    assert x.max() == 1.0
    assert x[90].mean() / x[40].mean() == pytest.approx(0.1**0.3, rel=0.05)


def test_loudness_does_not_matter_and_silence_is_silent():
    audio = np.random.default_rng(0).integers(-100, 100, 1000)
    filters = fsdd.bank(4)
    quiet, loud = fsdd.envelopes(audio, filters, 80), fsdd.envelopes(300 * audio, filters, 80)
    assert quiet.shape == (13, 4)
    np.testing.assert_allclose(loud, quiet, rtol=1e-4)
    assert not fsdd.envelopes(np.zeros(200), filters, 80).any()


def test_a_unit_fires_when_its_input_adds_up_to_one():
    x = np.array([[0.5, 1.0], [0.5, 1.0], [0.25, 1.0], [0.75, 0.0]])
    assert fsdd.fired(x).tolist() == [[0, 1], [1, 1], [0, 1], [1, 0]]


def test_what_does_not_fit_is_named(monkeypatch):
    with pytest.raises(ValueError, match=r"step=0.3: expected a multiple of 0.125 ms"):
        fsdd.load(step=0.3)
    with pytest.raises(ValueError, match="channels=0"):
        fsdd.load(channels=0)
    monkeypatch.setitem(sys.modules, "scipy.signal", None)
    with pytest.raises(ImportError, match=r"needs SciPy: pip install 'neko-learning\[speech\]'"):
        fsdd.bank(2)


def test_the_digits_are_made_from_their_repository(monkeypatch, tmp_path):
    monkeypatch.delenv("NEKO_DATA", raising=False)
    monkeypatch.setenv("NEKO_CACHE", str(tmp_path))

    def audio(*samples):
        stream = io.BytesIO()
        with wave.open(stream, "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(np.array(samples, "<i2").tobytes())
        return stream.getvalue()

    root = "free-spoken-digit-dataset-26eb9aa"
    content = zipped(
        {
            f"{root}/README.md": b"",
            f"{root}/recordings/1_theo_3.wav": audio(7),
            f"{root}/recordings/0_theo_10.wav": audio(-2, 3),
            f"{root}/recordings/0_theo_9.wav": audio(1),
            f"{root}/recordings/0_george_5.wav": audio(4, 5, -32768),
        }
    )
    with served(content) as (url, seen):
        monkeypatch.setattr(fsdd, "ARCHIVE", fsdd.ARCHIVE._replace(urls=(url,)))
        arrays = fsdd.recordings()
        with pytest.raises(OSError, match=r"fsdd.npz' was made with 'arrays:"):
            fsdd.load()
        assert len(seen) == 1
    assert {name: array.tolist() for name, array in arrays.items()} == {
        "audio": [4, 5, -32768, 1, -2, 3, 7],
        "offsets": [0, 3, 4, 6, 7],
        "labels": [0, 0, 0, 1],
        "speaker": [0, 1, 1, 1],
        "speaker_names": ["george", "theo"],
        "index": [5, 9, 10, 3],
        "sample_rate": [8000],
    }
    monkeypatch.setattr(fsdd, "FILE", fsdd.FILE._replace(checksums=(f"arrays:{fetch.arrays_digest(arrays)}",)))
    data = fsdd.load(steps=2, spikes=False)
    assert (data.y_train.tolist(), data.y_test.tolist()) == ([0, 0, 0], [1])
    assert data.mask_train.tolist() == [[1, 0]] * 3
