"""TIMIT: the phone spoken in each frame of read English sentences; the full corpus and NLTK's sample."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from neko.datasets import phones as transcription
from neko.datasets import speech
from neko.datasets.dataset import Dataset, padded
from neko.datasets.entry import DATASETS
from neko.datasets.fetch import DataFile, data_folder, find
from neko.io import limited

LIMIT = 2**26
"""Bytes of a file of the corpus, whose largest have a quarter of a megabyte: 64 MiB."""
Folder = Path | zipfile.Path
AnyFolder = TypeVar("AnyFolder", Path, zipfile.Path)

SAMPLE = DataFile(
    "timit_sample/timit.zip",
    (
        "sha256:ead0fc839e73d8fd13c8bc2a7d94d6f7062e546d4b08aaa79509093e62831c12",
        "git-blob:a003a55358ae9239cb5f91d6f92aea288c461d1d",
    ),
    ("https://raw.githubusercontent.com/nltk/nltk_data/gh-pages/packages/corpora/timit.zip",),
)
"""The sample repacked, or as NLTK distributes it."""

SAMPLE_FOLDS = (
    ("faem0", "maeb0", "fapb0", "mbcg0"),
    ("marc0", "falr0", "mbma1", "fbcg1"),
    ("fvmh0", "madc0", "ftlg0", "madd0"),
    ("mcpm0", "falk0", "mbgt0", "fblv0"),
)
"""The sixteen speakers in four folds: two women and two men each, of dialects 2, 4, 6, 8 or 1, 3, 5, 7."""

CORE_NAMES = (
    "mdab0 mwbt0 felc0 mtas1 mwew0 fpas0 mjmp0 mlnt0 fpkt0 mlll0 mtls0 fjlm0 "
    "mbpm0 mklt0 fnlp0 mcmj0 mjdh0 fmgd0 mgrt0 mnjm0 fdhc0 mjln0 mpam0 fmld0"
)
CORE_TEST = tuple(CORE_NAMES.split())
"""The 24 speakers of TIMIT's core test set: two men and a woman of each dialect."""

SENTENCE = re.compile(r"(sx|si)\d+")
"""Sentences that are used; ``sa1`` and ``sa2``, which every speaker reads, are left out."""


class Sentence(NamedTuple):
    """One sentence: its speaker, its name, and the files of its audio and transcription."""

    speaker: str
    name: str
    audio: Folder
    segments: Folder


def tree() -> Path:
    """The folder with TRAIN and TEST of the full corpus: ``timit`` or ``timit/timit`` under ``NEKO_DATA``, in any case.

    FileNotFoundError, which says where to put the corpus, if there is none.
    """
    root = data_folder()
    outer = child(root, "timit") if root and root.is_dir() else None
    for folder in (outer, outer and child(outer, "timit")):
        if folder and child(folder, "train"):
            return folder
    raise FileNotFoundError(
        f"TIMIT is not under NEKO_DATA={str(root) if root else None!r}: expected TIMIT/TRAIN/DR1/FCJF0/SX37.WAV and so "
        "on there; it is licensed as LDC93S1 by the Linguistic Data Consortium (catalog.ldc.upenn.edu/LDC93S1) and "
        "cannot be downloaded; 'timit-sample' is free for non-commercial use"
    )


@DATASETS.register(
    "timit", about="phones of 6,300 sentences of speech, the full corpus", licence="LDC93S1, licensed", tree=tree
)
def load(*, phones: int = 61) -> Dataset:
    """The full corpus, from a licensed copy: 462 speakers of TRAIN to train, the core test set to test.

    Parameters
    ----------
    phones
        61 for all symbols, or 39 by the folding of Lee & Hon (1989), in which frames of the glottal stop are masked.

    Returns
    -------
    Dataset
        As `load_sample`; about 3,700 sentences of up to 780 frames, half a gigabyte.

    Raises
    ------
    FileNotFoundError
        If there is no copy under ``NEKO_DATA``, or a file of it is missing.
    ValueError
        If a file of it cannot be read, or speakers are missing.

    References
    ----------
    Garofolo et al. (1993), TIMIT Acoustic-Phonetic Continuous Speech Corpus, LDC93S1, doi:10.35111/17gk-bn40;
    licensed by the Linguistic Data Consortium, hence there is no download.
    """
    check(phones)
    root = tree()
    parts = []
    for part in ("train", "test"):
        folder = child(root, part)
        speakers = [speaker for dialect in folders(folder) for speaker in folders(dialect)] if folder else []
        parts.append([sentence for speaker in speakers for sentence in sentences(speaker, speaker.name.lower())])
    train = parts[0]
    test = [sentence for sentence in parts[1] if sentence.speaker in CORE_TEST]
    missing = sorted(set(CORE_TEST) - {sentence.speaker for sentence in test})
    if not train or missing:
        raise ValueError(
            f"{root} has {len(train)} training sentences and lacks the test speakers {missing!r}: expected the whole "
            "tree of LDC93S1 with TRAIN/DR1/FCJF0/SX37.WAV and SX37.PHN, and so on; copy it anew"
        )
    return assembled(train, test, phones)


@DATASETS.register(
    "timit-sample", about="phones of 160 sentences of TIMIT, NLTK's sample", licence="CC BY-NC-SA", files=(SAMPLE,)
)
def load_sample(*, phones: int = 61, fold: int = 0) -> Dataset:
    r"""NLTK's sample of TIMIT: 96 sentences of twelve speakers to train, 32 of four others to test.

    It is small and all its speakers are from TIMIT's training part: **results on it cannot be compared with
    published TIMIT results.** Licence: Creative Commons Attribution, Non-Commercial, ShareAlike.

    Features are 13 cepstral coefficients (`neko.datasets.speech.mfcc`), their Δ and their ΔΔ, in frames of 25 ms
    every 10 ms, each standardised by the mean and the deviation over the frames of the training sentences. The label
    of a frame is the phone at its centre.

    Parameters
    ----------
    phones
        As for `load`.
    fold
        Which of the `SAMPLE_FOLDS` is for testing, 0 to 3; the other speakers are for training.

    Returns
    -------
    Dataset
        ``x`` (sentences, time, 39) with zeros after the end of a sentence; ``y`` (sentences, time) of class numbers
        in the order of `neko.datasets.phones.PHONES` or ``PHONES_39``; masks (sentences, time) that are 0 at padded
        frames and at frames without a label (in one sentence of the sample the transcription ends before the audio).

    Raises
    ------
    ValueError
        If `phones` is neither, there is no such fold, or the file under ``NEKO_DATA`` is damaged.
    OSError
        If the sample is not on this machine and cannot be downloaded.
    ImportError
        Without the package kaldi-native-fbank.

    References
    ----------
    Bird, Loper & Klein, NLTK, corpus ``timit``; Garofolo et al. (1993), LDC93S1.
    """
    check(phones)
    if not isinstance(fold, int) or not 0 <= fold < len(SAMPLE_FOLDS):
        raise ValueError(f"fold={fold!r}: expected one of {tuple(range(len(SAMPLE_FOLDS)))}")
    with zipfile.ZipFile(find(SAMPLE)) as archive:
        speakers = folders(zipfile.Path(archive, "timit/"))
        said = [s for folder in speakers for s in sentences(folder, folder.name.partition("-")[2].lower())]
        test = [sentence for sentence in said if sentence.speaker in SAMPLE_FOLDS[fold]]
        return assembled([sentence for sentence in said if sentence not in test], test, phones)


def check(phones: int) -> None:
    if phones not in transcription.CLASSES:
        raise ValueError(f"phones={phones!r}: expected one of {tuple(transcription.CLASSES)}")


def child(folder: Path, name: str) -> Path | None:
    """The subfolder of a name in any letter case."""
    return next((path for path in folders(folder) if path.name.lower() == name), None)


def folders(folder: AnyFolder) -> list[AnyFolder]:
    """The subfolders in the order of their names."""
    return sorted((path for path in folder.iterdir() if path.is_dir()), key=lambda path: path.name)


def sentences(folder: Folder, speaker: str) -> Iterator[Sentence]:
    """A speaker's sentences by name, without ``sa``; FileNotFoundError if audio or transcription is missing."""
    files = {path.name.lower(): path for path in folder.iterdir()}
    names = {name[:-4] for name in files if name.endswith((".wav", ".phn"))}
    for name in sorted(filter(SENTENCE.fullmatch, names)):
        for ending in (".wav", ".phn"):
            if name + ending not in files:
                raise FileNotFoundError(f"{folder} has no {name + ending!r} for sentence {name!r}; copy it anew")
        yield Sentence(speaker, name, files[name + ".wav"], files[name + ".phn"])


def assembled(train: list[Sentence], test: list[Sentence], phones: int) -> Dataset:
    """Features, labels and masks of two lists of sentences, standardised by the first."""
    parts = [[framed(sentence, phones) for sentence in part] for part in (train, test)]
    spoken = np.concatenate([x for x, _, _ in parts[0]])
    mean, deviation = spoken.mean(axis=0, dtype=np.float64), spoken.std(axis=0, dtype=np.float64)
    parts = [[(((x - mean) / deviation).astype(np.float32), y, mask) for x, y, mask in part] for part in parts]
    (x, y, mask), (x_test, y_test, mask_test) = (
        tuple(padded(arrays) for arrays in zip(*part, strict=True)) for part in parts
    )
    return Dataset(x, y, x_test, y_test, phones, mask, mask_test)


def content(file: Folder) -> bytes:
    """The bytes of a file of the corpus or of the archive, whose members have known sizes."""
    return limited.content(file, LIMIT) if isinstance(file, Path) else file.read_bytes()


def ascii(file: Folder) -> str:
    """The text of a transcription."""
    try:
        return content(file).decode("ascii")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not text in ASCII: {error}; copy it anew") from error


def framed(sentence: Sentence, phones: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (time, 39), labels (time,) and mask (time,) of one sentence."""
    signal = speech.read_audio(content(sentence.audio), str(sentence.audio))
    if len(signal) < speech.WINDOW:
        raise ValueError(f"{sentence.audio} has {len(signal)} samples: expected {speech.WINDOW} at least, one frame")
    x = speech.features(signal)
    segments = transcription.read_segments(ascii(sentence.segments), str(sentence.segments))
    return x, *transcription.labels(segments, speech.centres(len(x)), phones)
