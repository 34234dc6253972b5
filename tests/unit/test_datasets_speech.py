"""Speech: features against plain NumPy, and what a transcription says of each frame."""

from __future__ import annotations

import io
import os
import sys
import wave
import zipfile
from pathlib import Path

import numpy as np
import pytest

from neko.datasets import phones, speech

ARCHIVE = Path(os.environ.get("NEKO_DATA") or "/none") / "timit_sample" / "timit.zip"
RATE, WINDOW, HOP = 16000, 400, 160


def cepstra(signal, emphasis=0.97, power_of_window=0.85):
    """MFCC as the docstring of `speech.mfcc` has them, in double precision."""
    count = 1 + (len(signal) - WINDOW) // HOP
    x = np.stack([signal[HOP * t : HOP * t + WINDOW] for t in range(count)]).astype(float)
    x = x - x.mean(axis=1, keepdims=True)
    x = x - emphasis * np.concatenate([x[:, :1], x[:, :-1]], axis=1)
    x = x * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / (WINDOW - 1))) ** power_of_window
    power = np.abs(np.fft.rfft(x, 512)) ** 2

    def mel(f):
        return 1127.0 * np.log(1.0 + f / 700.0)

    corners = np.linspace(mel(20.0), mel(RATE / 2), 25)
    at = mel(np.arange(257) * RATE / 512)
    bank = np.zeros((257, 23))
    for k in range(23):
        left, middle, right = corners[k : k + 3]
        bank[:, k] = np.clip(np.minimum((at - left) / (middle - left), (right - at) / (right - middle)), 0.0, None)
    logs = np.log(np.maximum(power @ bank, np.finfo(np.float32).eps))
    c = np.zeros((count, 13))
    for i in range(13):
        scale = np.sqrt((1.0 if i == 0 else 2.0) / 23)
        c[:, i] = scale * (logs @ np.cos(np.pi * i * (np.arange(23) + 0.5) / 23))
        c[:, i] *= 1.0 + 11.0 * np.sin(np.pi * i / 22)
    return c


def slope(x):
    """Regression over five frames with the outer ones repeated, term by term."""
    x = np.concatenate([x[:1], x[:1], x, x[-1:], x[-1:]])
    return np.stack(
        [sum(k * (x[t + k] - x[t - k]) for k in (1, 2)) / 10.0 for t in range(2, len(x) - 2)],
    )


@pytest.mark.skipif(not ARCHIVE.is_file(), reason="NEKO_DATA holds no timit_sample")
@pytest.mark.parametrize("name", ["dr1-fvmh0/sx116", "dr5-mbgt0/si1841", "dr8-mbcg0/sx57"])
def test_features_equal_their_formula(name):
    with zipfile.ZipFile(ARCHIVE) as archive, wave.open(io.BytesIO(archive.read(f"timit/{name}.wav"))) as audio:
        signal = np.frombuffer(audio.readframes(audio.getnframes()), "<i2")
    expected = cepstra(signal)
    assert np.abs(expected).max() > 50.0
    found = speech.features(signal)
    assert found.shape == (1 + (len(signal) - 400) // 160, 39)
    np.testing.assert_allclose(found[:, :13], expected, rtol=0, atol=2e-3)
    np.testing.assert_allclose(found[:, 13:26], slope(expected), rtol=0, atol=2e-3)
    np.testing.assert_allclose(found[:, 26:], slope(slope(expected)), rtol=0, atol=2e-3)
    np.testing.assert_array_equal(found, speech.features(signal))
    # The comparison would see a small change of the formula.
    for other in ({"emphasis": 0.965}, {"power_of_window": 0.84}):
        assert np.abs(found[:, :13] - cepstra(signal, **other)).max() > 0.02


TORCHAUDIO = """
105.33966 -18.29518 -10.83373 -16.99659 -12.98791 -15.01754 -15.31439 -18.89160 -11.89609 1.37314 -2.29041 -5.02760
-2.82809
103.92103 -27.72068 -25.79041 -30.13849 -18.28430 -9.79385 0.68246 7.88744 9.82890 7.23747 -2.58504 -7.92852 -1.41313
102.43520 -36.25044 -27.58803 -23.94259 -4.83734 10.35099 13.28853 -2.96048 -19.71297 -8.85147 7.55123 0.29857 -4.62502
101.47823 -39.19770 -23.54699 -14.69886 4.02279 4.96156 -16.19210 -32.33570 -8.14918 11.73439 -15.71480 -29.74729
-12.79960
"""
"""``torchaudio.compliance.kaldi.mfcc(torch.tensor(signal, dtype=torch.float32)[None], sample_frequency=16000.0,
num_ceps=13, num_mel_bins=23, high_freq=8000.0, dither=0.0)`` of torchaudio 2.11.1, which is not Kaldi's code."""


def test_cepstra_are_those_of_torchaudio():
    pytest.importorskip("kaldi_native_fbank")
    n = np.arange(1000)
    signal = (n * n // 7 % 2001 - 1000) * 5 + (n * 37 % 401 - 200) * 9 + (n * n * n * 31 % 1999 - 999)
    expected = np.array(TORCHAUDIO.split(), dtype=float).reshape(4, 13)
    np.testing.assert_allclose(speech.mfcc(signal.astype(np.int16)), expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize(("samples", "frames"), [(0, 0), (399, 0), (400, 1), (559, 1), (560, 2), (16000, 98)])
def test_frames_lie_within_the_signal(samples, frames):
    pytest.importorskip("kaldi_native_fbank")
    assert len(speech.mfcc(np.random.default_rng(0).integers(-1000, 1000, samples))) == frames
    if frames:
        assert speech.centres(frames)[-1] + WINDOW // 2 <= samples


def test_delta_of_a_line_is_its_slope():
    line = 3.0 * np.arange(20.0)[:, None] + np.array([1.0, -2.0])
    np.testing.assert_allclose(speech.delta(line)[2:-2], 3.0, atol=1e-12)
    np.testing.assert_allclose(speech.delta(line)[0], 3.0 * (1 + 2 * 2) / 10, atol=1e-12)
    for length in (1, 2, 4, 9):
        short = np.random.default_rng(length).normal(size=(length, 2))
        np.testing.assert_allclose(speech.delta(short), slope(short), atol=1e-12)


def test_silence_is_finite():
    pytest.importorskip("kaldi_native_fbank")
    assert np.isfinite(speech.features(np.zeros(8000, dtype=np.int16))).all()


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "kaldi_native_fbank", None)
    with pytest.raises(ImportError, match=r"kaldi-native-fbank: install neko-learning\[speech\]"):
        speech.mfcc(np.zeros(400))


def test_phones_fold_as_in_lee_and_hon():
    assert len(phones.PHONES) == len(set(phones.PHONES)) == 61
    assert len(phones.PHONES_39) == 39
    assert set(phones.CLASSES[39]) == set(phones.PHONES) - {"q"}
    assert set(phones.CLASSES[39].values()) == set(range(39))
    expected = (
        "aa:ao ah:ax ah:ax-h er:axr hh:hv ih:ix l:el m:em n:en n:nx ng:eng sh:zh sil:bcl sil:dcl sil:epi sil:gcl "
        "sil:h# sil:kcl sil:pau sil:pcl sil:tcl uw:ux"
    )
    assert sorted(f"{into}:{phone}" for phone, into in phones.FOLDED.items() if phone != into) == expected.split()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "is empty"),
        ("0 100 h#\n100 90 aa", "line 2.*'100 90 aa'"),
        ("0 100 h#\n90 200 aa", "line 2.*do not overlap"),
        ("0 100 h#\n100 200 qq", "line 2: phone 'qq'"),
        ("0 100 h#\n100 x aa", "line 2: '100 x aa'"),
        ("0 100", "line 1: '0 100'"),
    ],
)
def test_a_transcription_that_can_not_be_read_is_named(text, fault):
    with pytest.raises(ValueError, match=f"dr1/x.phn.*{fault}"):
        phones.read_segments(text, "dr1/x.phn")


def test_a_frame_between_two_segments_has_no_label():
    segments = phones.read_segments("10 20 aa\n30 40 q\n", "x.phn")
    at = np.array([9, 10, 19, 20, 29, 30, 39, 40])
    for classes, q in ((61, phones.PHONES.index("q")), (39, 0)):
        y, mask = phones.labels(segments, at, classes)
        assert mask.tolist() == [0, 1, 1, 0, 0, int(classes == 61), int(classes == 61), 0]
        assert y.tolist() == [0, 0, 0, 0, 0, q, q, 0]
