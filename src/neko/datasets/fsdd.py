"""Spoken digits, as spikes of a small auditory filter bank."""

from __future__ import annotations

import io
import re
import wave
from itertools import pairwise

import numpy as np

from neko.arguments import check_integer, check_number
from neko.datasets.dataset import Dataset
from neko.datasets.entry import DATASETS
from neko.datasets.fetch import DataFile, arrays_of, find, repository
from neko.io import archives

SAMPLE_RATE = 8000
LOWEST, HIGHEST = 100.0, 3600.0
"""Centre frequencies of the first and of the last filter in Hz."""
COMPRESSION = 0.3
"""Exponent of the amplitude, about that of the basilar membrane."""
TEST = 5
"""The official test set is the first five recordings of each speaker and digit."""
ARCHIVE = repository("Jakobovski/free-spoken-digit-dataset", "26eb9aaf76e81b692f806f9140c2d2777410d7a1")
"""The data set as its authors publish it: a repository of WAV files."""


def recordings() -> dict[str, np.ndarray]:
    """The arrays of all recordings, from the archive, by digit, speaker and index.

    ``audio`` of all, where each begins and ends in it (``offsets``), and of each the digit (``labels``), ``speaker`` in
    ``speaker_names`` and ``index``, its number for its digit and speaker; ``sample_rate`` in Hz.
    """
    with archives.opened(find(ARCHIVE)) as archive:
        named = [(re.search(r"/recordings/(\d)_([a-z]+)_(\d+)\.wav$", name), name) for name in archive.namelist()]
        files = sorted((int(m[1]), m[2], int(m[3]), name) for m, name in named if m)
        audio, rates = [], set()
        for *_, name in files:
            with wave.open(io.BytesIO(archive.read(name))) as file:
                audio.append(np.frombuffer(file.readframes(file.getnframes()), "<i2"))
                rates.add(file.getframerate())
    names = sorted({speaker for _, speaker, _, _ in files})
    return {
        "audio": np.concatenate([*audio, np.empty(0, "<i2")]),
        "offsets": np.cumsum([0, *map(len, audio)]),
        "labels": np.array([digit for digit, *_ in files], dtype=np.int64),
        "speaker": np.array([names.index(speaker) for _, speaker, _, _ in files], dtype=np.int64),
        "speaker_names": np.array(names),
        "index": np.array([index for _, _, index, _ in files], dtype=np.int64),
        "sample_rate": np.array(sorted(rates), dtype=np.int64),
    }


FILE = DataFile(
    "fsdd/fsdd.npz",
    (
        "sha256:621bc92b93c4a4b887dcc217d932891dd7ea46fd847f56eae5f6c1071bc5bbc0",
        "arrays:7e7d3beb0e46346015c419680e23b06ccb337bd63dc83b28f3ebc4255da2eea9",
    ),
    (),
    made=recordings,
)


@DATASETS.register(
    "fsdd", about="3,000 spoken digits through an auditory filter bank", licence="CC BY-SA 4.0", files=(FILE,)
)
def load(*, step: float = 10.0, steps: int = 100, channels: int = 16, spikes: bool = True) -> Dataset:
    """The Free Spoken Digit Dataset: ``x`` (examples, steps, channels), 2,700 to train and 300 to test.

    Six speakers say each digit fifty times; the first five are the test, as its authors have it. The same speakers
    are in both.

    Parameters
    ----------
    step
        Duration of a step in ms; a multiple of 0.125.
    steps
        Number of steps. Recordings last 0.14 s to 2.3 s; of those longer than 1 s, one in 140, the rest is left out.
    channels
        Number of filters.
    spikes
        Whether ``x`` are the spikes of one integrate-and-fire unit for each filter (`fired`) or, for an encoder of your
        own, the envelopes from 0 to 1 (`envelopes`).

    Returns
    -------
    Dataset
        The mask is 0 after the end of a recording.

    Raises
    ------
    ValueError
        For a size below 1 or a duration of no whole number of samples.
    ImportError
        Without SciPy.

    References
    ----------
    Jackson et al., github.com/Jakobovski/free-spoken-digit-dataset, CC BY-SA 4.0.
    """
    check_integer("steps", steps)
    check_integer("channels", channels)
    hop = SAMPLE_RATE * check_number("step", step, positive=True) / 1000.0
    if hop % 1.0:
        raise ValueError(f"step={step!r}: expected a multiple of {1000.0 / SAMPLE_RATE} ms, a sample")
    arrays = read()
    audio, offsets, labels, index = (arrays[name] for name in ("audio", "offsets", "labels", "index"))
    x = np.zeros((len(labels), steps, channels), dtype=np.float32)
    mask = np.zeros(x.shape[:2], dtype=np.float32)
    filters = bank(channels)
    for row, counted, (begin, end) in zip(x, mask, pairwise(offsets), strict=True):
        heard = envelopes(audio[begin:end][: steps * int(hop)], filters, int(hop))
        row[: len(heard)] = fired(heard) if spikes else heard
        counted[: len(heard)] = 1.0
    test = index < TEST
    return Dataset(x[~test], labels[~test], x[test], labels[test], 10, mask[~test], mask[test])


def read() -> dict[str, np.ndarray]:
    """The arrays of all recordings, see `recordings`."""
    return arrays_of(FILE)


def centres(channels: int) -> np.ndarray:
    r"""Centre frequencies in Hz, equally spaced in the rate of equivalent rectangular bandwidths of Glasberg & Moore
    (1990), doi:10.1016/0378-5955(90)90170-T: :math:`21.4 \log_{10}(1 + 0.00437 f)`."""
    low, high = (21.4 * np.log10(1.0 + 0.00437 * f) for f in (LOWEST, HIGHEST))
    return (10.0 ** (np.linspace(low, high, channels) / 21.4) - 1.0) / 0.00437


def bank(channels: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Numerator and denominator of the gammatone filters of fourth order (Slaney 1993), from SciPy."""
    try:
        from scipy.signal import gammatone
    except ImportError as error:
        raise ImportError("the auditory filter bank needs SciPy: pip install 'neko-learning[speech]'") from error
    return [gammatone(f, "iir", fs=SAMPLE_RATE) for f in centres(channels)]


def envelopes(audio: np.ndarray, filters: list[tuple[np.ndarray, np.ndarray]], hop: int) -> np.ndarray:
    r"""Loudness in each filter and step, (time, channels), relative to the largest of the recording.

    .. math::
        e_{tc} = \left(\frac{1}{h} \sum_{n=th}^{th+h-1} \max(y_{nc}, 0)\right)^{0.3}, \qquad
        x_{tc} = \frac{e_{tc}}{\max_{t'c'} e_{t'c'}}

    where :math:`y_c` is the audio through filter c, rectified as by hair cells; the mean over a step of h samples is
    the low-pass. A louder recording gives the same x; of silence all is 0. The last step is filled up with zeros.
    """
    from scipy.signal import lfilter

    time = -(-len(audio) // hop)
    padded = np.pad(audio.astype(np.float64), (0, time * hop - len(audio)))
    rectified = np.stack([np.maximum(lfilter(b, a, padded), 0.0) for b, a in filters], axis=-1)
    loudness = rectified.reshape(time, hop, -1).mean(axis=1) ** COMPRESSION
    return loudness / (loudness.max(initial=0.0) or 1.0)


def fired(x: np.ndarray) -> np.ndarray:
    r"""Spikes {0, 1} of integrate-and-fire units without leak, with inputs from 0 to 1 and a threshold of 1.

    .. math::
        s_t = \lfloor X_t \rfloor - \lfloor X_{t-1} \rfloor, \qquad X_t = \sum_{t' \le t} x_{t'}
    """
    return np.diff(np.floor(np.cumsum(x, axis=0)), axis=0, prepend=0.0)
