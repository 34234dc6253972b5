"""Heartbeats of the MIT-BIH arrhythmia database, in the five classes of Kachuee et al. (2018)."""

from __future__ import annotations

from importlib import resources
from typing import Literal, NamedTuple

import numpy as np

from neko.arguments import check_choice
from neko.datasets import mitdb
from neko.datasets.dataset import Dataset
from neko.datasets.entry import DATASETS
from neko.datasets.fetch import DataFile, arrays_of

CLASSES = ("N", "S", "V", "F", "Q")
"""Normal, supraventricular, ventricular, fusion, and paced or unknown beats, after ANSI/AAMI EC57."""
SPLITS = ("balanced", "published", "patients", "patients-balanced")
DS1 = (101, 106, 108, 109, 112, 114, 115, 116, 118, 119, 122, 124, 201, 203, 205, 207, 208, 209, 215, 220, 223, 230)
DS2 = (100, 103, 105, 111, 113, 117, 121, 123, 200, 202, 210, 212, 213, 214, 219, 221, 222, 228, 231, 232, 233, 234)
"""Records to train and to test of de Chazal et al. (2004). 201 and 202 are one subject; all others differ."""
WINDOW = 30
"""Samples of a beat whose length is hidden: 0.25 s at 120 Hz."""

FILE = DataFile(
    "ecg_heartbeat/mitbih_heartbeats.npz",
    (
        "sha256:824ab40c1635c11ab73a76ba31cdfcf8d6c15d44d7f017c6068c941bf91deb7d",
        "arrays:cad32e685893cb8c07106e7a5816a9c67503b04e1ec105dccdc5e69efd97447e",
    ),
    (),
    made=mitdb.beats,
)


class Beats(NamedTuple):
    """All 109,446 beats, in the order of record and time.

    Attributes
    ----------
    adc
        (beats, 187) int16: samples at 120 Hz less the smallest of the beat, 200 per mV; zeros after its end.
    range
        Largest minus smallest sample of each beat.
    y
        Class number, see `CLASSES`.
    record
        Record of the database, 100 to 234.
    length
        Samples of the beat before the zeros.
    """

    adc: np.ndarray
    range: np.ndarray
    y: np.ndarray
    record: np.ndarray
    length: np.ndarray


@DATASETS.register(
    "ecg", about="109,446 heartbeats of the MIT-BIH database, 187 samples each", licence="ODC-By", files=(FILE,)
)
def load(
    *,
    split: Literal["balanced", "published", "patients", "patients-balanced"] = "balanced",
    hidden_length: bool = False,
) -> Dataset:
    """Heartbeats: ``x`` (examples, 187, 1) in [0, 1], one class number each.

    A beat is from its R peak to a fifth of an interval past the next peak, every third sample of 360 Hz, scaled to
    [0, 1]; zeros follow its end. There is no mask: networks of the literature read these zeros.

    Parameters
    ----------
    split
        ``"balanced"``: as many beats of each of the five classes as the smallest has in the published split, 3,205
        to train and 810 to test. ``"published"``: 87,554 and 21,892; it mixes the beats of each subject over both.
        ``"patients"``: subjects of the test are not in training (but for records 201 and 202, one subject), 50,991 and
        49,683 beats of the classes N, S, V, F; nearly all beats of Q are of the paced records, which this split
        leaves out, so that five classes cannot be had. ``"patients-balanced"``: as many of each of the four, 1,660
        and 1,552.
    hidden_length
        The number of zeros tells the interval to the next beat, from which alone 58 % of the balanced test beats
        are classified. Hidden, ``x`` is (examples, 30, 1): the first 0.25 s of each beat, before a next one, scaled to
        [0, 1] anew. The last value is held in the 0.1 % of beats that end sooner.

    Raises
    ------
    ValueError
        For another split.

    References
    ----------
    Moody & Mark (2001), doi:10.1109/51.932724; Kachuee et al. (2018), doi:10.1109/ICHI.2018.00092; de Chazal et al.
    (2004), doi:10.1109/TBME.2004.827359. MIT-BIH Arrhythmia Database 1.0.0 of PhysioNet, ODC-By.
    """
    beats = read()
    train, test = rows(beats, split)
    shown = windows if hidden_length else padded
    y = beats.y.astype(np.int64)
    return Dataset(shown(beats, train), y[train], shown(beats, test), y[test], 4 if "patients" in split else 5)


def read() -> Beats:
    """All beats, with what is known of each."""
    arrays = arrays_of(FILE)
    return Beats(*(arrays[name] for name in Beats._fields))


def rows(beats: Beats, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows of `beats` to train and to test; those of ``"published"`` in the order of the beats.

    A balanced set is drawn for training first, then for the test, from one generator of seed 0: for each class in
    turn n of its rows without replacement, sorted, where n is the size of the smallest; then all are permuted.
    """
    check_choice("split", split, SPLITS)
    if split.startswith("patients"):
        parts = [np.flatnonzero(np.isin(beats.record, records) & (beats.y < 4)) for records in (DS1, DS2)]
    else:
        test = np.unpackbits(published("test"), count=len(beats.y)).astype(bool)
        parts = [np.flatnonzero(~test), np.flatnonzero(test)]
    if not split.endswith("balanced"):
        return parts[0], parts[1]
    rng = np.random.default_rng(0)
    train = drawn(rng, parts[0], beats.y)
    # The published balanced test was drawn from rows in the order of the Kaggle file, which is not kept.
    return train, parts[1][published("balanced")] if split == "balanced" else drawn(rng, parts[1], beats.y)


def published(name: str) -> np.ndarray:
    """Of the published split: ``test``, a bit for each beat, or ``balanced``, which of its test are in the subset."""
    with resources.files("neko.datasets").joinpath("ecg_split.npz").open("rb") as file, np.load(file) as arrays:
        return arrays[name]


def drawn(rng: np.random.Generator, part: np.ndarray, y: np.ndarray) -> np.ndarray:
    """As many rows of each class as the smallest has."""
    classes = [part[y[part] == k] for k in range(y[part].max() + 1)]
    least = min(map(len, classes))
    chosen = [np.sort(rng.choice(members, least, replace=False)) for members in classes]
    return rng.permutation(np.concatenate(chosen))


def padded(beats: Beats, part: np.ndarray) -> np.ndarray:
    """Beats (examples, 187, 1) as published."""
    return (beats.adc[part].astype(np.float32) / beats.range[part, None])[..., None]


def windows(beats: Beats, part: np.ndarray) -> np.ndarray:
    """The first samples of beats (examples, 30, 1), scaled to [0, 1], which do not tell their length."""
    at = np.minimum(np.arange(WINDOW), beats.length[part, None].astype(int) - 1)
    x = np.take_along_axis(beats.adc[part], at, axis=1).astype(np.float32)
    x -= x.min(axis=1, keepdims=True)
    return (x / np.maximum(x.max(axis=1, keepdims=True), 1.0))[..., None]
