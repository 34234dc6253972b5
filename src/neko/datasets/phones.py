"""The phones of TIMIT, and the phone of each frame."""

from __future__ import annotations

import numpy as np

SYMBOLS = (
    "aa ae ah ao aw ax ax-h axr ay b bcl ch d dcl dh dx eh el em en eng epi er ey f g gcl h# hh hv ih ix iy jh k kcl "
    "l m n ng nx ow oy p pau pcl q r s sh t tcl th uh uw ux v w y z zh"
)
PHONES = tuple(SYMBOLS.split())
"""The 61 symbols of the transcriptions, in the order of their class numbers."""

MERGED = {
    "aa": "ao",
    "ah": "ax ax-h",
    "er": "axr",
    "hh": "hv",
    "ih": "ix",
    "l": "el",
    "m": "em",
    "n": "en nx",
    "ng": "eng",
    "sh": "zh",
    "uw": "ux",
    "sil": "h# pau epi pcl tcl kcl bcl dcl gcl",
}
"""Phones merged by Lee & Hon (1989), doi:10.1109/29.46546, Table II, who leave out the glottal stop q."""

FOLDED = {phone: into for into, group in MERGED.items() for phone in group.split()}
FOLDED |= {phone: phone for phone in PHONES if phone not in FOLDED and phone != "q"}
PHONES_39 = tuple(sorted(set(FOLDED.values())))
"""The 39 classes after folding, in the order of their numbers."""

CLASSES: dict[int, dict[str, int]] = {
    61: {phone: k for k, phone in enumerate(PHONES)},
    39: {phone: PHONES_39.index(into) for phone, into in FOLDED.items()},
}
"""Class number of each phone, for 61 and for 39 classes."""


LAST = 2**31
"""No segment ends later, in samples."""


def read_segments(text: str, name: str) -> list[tuple[int, int, str]]:
    """(begin, end, phone) in samples, of a transcription with a line ``begin end phone`` for each.

    ValueError, with file and line, if a line cannot be read, its phone is unknown, or its segment is empty or begins
    before the last one ends.
    """
    segments: list[tuple[int, int, str]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            first, last, phone = line.split()
            begin, end = int(first), int(last)
        except ValueError as error:
            raise ValueError(f"{name}, line {number}: {line!r}: expected 'begin end phone' in samples") from error
        if phone not in PHONES:
            raise ValueError(f"{name}, line {number}: phone {phone!r}: expected one of {PHONES!r}")
        if begin < (segments[-1][1] if segments else 0) or not begin < end < LAST:
            raise ValueError(
                f"{name}, line {number}: segment {line!r}: expected segments in order that do not overlap; copy it anew"
            )
        segments.append((begin, end, phone))
    if not segments:
        raise ValueError(f"{name} is empty: expected lines 'begin end phone'; copy it anew")
    return segments


def labels(segments: list[tuple[int, int, str]], at: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Class number at each of the samples `at` (n,), and 1 where there is one, float32.

    Outside all segments, and for a phone that is left out, both are 0.
    """
    begin, end = (np.array([segment[i] for segment in segments]) for i in (0, 1))
    number = np.array([CLASSES[classes].get(phone, -1) for _, _, phone in segments])
    k = np.searchsorted(begin, at, side="right") - 1
    counts = (k >= 0) & (at < end[k]) & (number[k] >= 0)
    return np.where(counts, number[k], 0), counts.astype(np.float32)
