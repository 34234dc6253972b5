"""Beats from the records of the MIT-BIH arrhythmia database, as PhysioNet serves them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

import numpy as np

from neko.datasets.fetch import DataFile, find
from neko.io import archives

ARCHIVE = DataFile(
    "mitdb/mit-bih-arrhythmia-database-1.0.0.zip",
    ("zip:whole",),
    (
        "https://physionet.org/static/published-projects/mitdb/mit-bih-arrhythmia-database-1.0.0.zip",
        "https://physionet.org/content/mitdb/get-zip/1.0.0/",
    ),
)
"""All records, about 75 MB; what is read of them is verified by the beats that come out."""

LENGTH, STRIDE = 187, 3
"""Samples of a beat, and of the record's 360 Hz for each of them."""

SKIP, NUM, SUB, CHN, AUX = 59, 60, 61, 62, 63
"""Codes of an annotation file that are no annotations, in the WFDB format."""

CLASS = {
    code: k
    for k, codes in enumerate(((1, 2, 3, 34, 11), (8, 4, 7, 9), (5, 10), (6,), (12, 38, 13)))  # N S V F Q
    for code in codes
}
"""Class of the WFDB codes of beats: N L R e j, A a J S, V E, F, and / f Q."""


def beats() -> dict[str, np.ndarray]:
    """``adc``, ``range``, ``y``, ``record`` and ``length`` of all beats, see `neko.datasets.ecg.Beats`."""
    found = []
    with archives.opened(find(ARCHIVE)) as archive:
        members = {PurePosixPath(name).name: name for name in archive.namelist()}
        for number in sorted(name[:3] for name in members if re.fullmatch(r"\d{3}\.atr", name)):
            signal = first_signal(archive.read(members[f"{number}.dat"]))
            noted = read_annotations(archive.read(members[f"{number}.atr"]))
            found += [(*beat, int(number)) for beat in segments(signal, *noted)]
    adc, y, record = (list(column) for column in zip(*found, strict=True)) if found else ([], [], [])
    kept = np.zeros((len(adc), LENGTH), dtype=np.int16)
    for row, samples in zip(kept, adc, strict=True):
        row[: len(samples)] = samples[:LENGTH]
    return {
        "adc": kept,
        "range": np.array([samples.max() for samples in adc], dtype=np.int16),
        "y": np.array(y, dtype=np.uint8),
        "record": np.array(record, dtype=np.int16),
        "length": np.array([min(len(samples), LENGTH) for samples in adc], dtype=np.uint8),
    }


def segments(signal: np.ndarray, at: list[int], codes: list[int]) -> Iterator[tuple[np.ndarray, int]]:
    """Samples and class of each beat but the last annotation.

    A beat is from its annotation to a fifth of the following interval past the next annotation, of any kind; every
    third sample, less the smallest. The end of the record stands for an annotation that is missing.
    """
    ends = [*at, len(signal)]
    for i, code in enumerate(codes[:-1]):
        if code in CLASS:
            beat = signal[at[i] : at[i + 1] + int(0.2 * (ends[i + 2] - at[i + 1])) : STRIDE]
            yield beat - beat.min(), CLASS[code]


def first_signal(content: bytes) -> np.ndarray:
    """The first of two signals in format 212: 12 bits a sample, two's complement, three bytes for a pair."""
    triples = np.frombuffer(content, np.uint8).reshape(-1, 3).astype(np.int16)
    samples = triples[:, 0] | (triples[:, 1] & 0x0F) << 8
    return np.where(samples > 2047, samples - 4096, samples).astype(np.int16)


def read_annotations(content: bytes) -> tuple[list[int], list[int]]:
    """Samples and codes of the annotations in a WFDB annotation file.

    A word of 16 bits has the code in its upper six bits and, in the other ten, samples since the last annotation. SKIP
    is followed by two words of a longer interval, AUX by as many bytes of text as it says.
    """
    words = np.frombuffer(content, "<u2").tolist()
    at, codes, sample, i = [], [], 0, 0
    while i < len(words) and words[i]:
        code, value = words[i] >> 10, words[i] & 0x3FF
        i += 1
        if code == SKIP:
            sample += (words[i] << 16) + words[i + 1]
            i += 2
        elif code == AUX:
            i += (value + 1) // 2
        elif code not in (NUM, SUB, CHN):
            sample += value
            at.append(sample)
            codes.append(code)
    return at, codes
