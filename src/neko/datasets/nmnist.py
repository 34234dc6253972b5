"""N-MNIST: handwritten digits that an event camera saw while it moved."""

from __future__ import annotations

from pathlib import PurePosixPath

import numpy as np

from neko.arguments import check_integer
from neko.datasets.dataset import Dataset
from neko.datasets.entry import DATASETS
from neko.datasets.events import binned
from neko.datasets.fetch import DataFile, arrays_of, find, repository
from neko.io import archives

SENSOR = (34, 34, 2)
"""Columns, rows and polarities."""
ARCHIVE = repository("bamsumit/slayerPytorch", "01beeeb6a181546d6c6830382ce6086bfc587836")
"""A repository that has the first recordings, as files of the original format."""


def recordings() -> dict[str, np.ndarray]:
    """The arrays of the sample, from the archive.

    ``x``, ``y``, ``p``, ``t`` of all events, and for each recording where its events begin and end (``offsets``), its
    label, its number in N-MNIST (``sample_id``) and whether it is for the test.
    """
    with archives.opened(find(ARCHIVE)) as archive:
        files = {PurePosixPath(name).name: name for name in archive.namelist() if "/NMNISTsmall/" in name}
        lists = [archive.read(files[name]).decode() for name in ("train1K.txt", "test100.txt")]
        parts = [
            np.array([line.split()[:2] for line in text.splitlines() if line[:1].isdigit()], int) for text in lists
        ]
        number, label = np.concatenate(parts).T
        contents = [archive.read(files[f"{k}.bs2"]) for k in number]
        # Five bytes an event: x, y, then one bit of polarity and 23 of time, the largest first.
        byte = np.frombuffer(b"".join(contents), np.uint8).reshape(-1, 5).T
    time = byte[2:].astype(np.uint32)
    return {
        "x": byte[0],
        "y": byte[1],
        "p": byte[2] >> 7,
        "t": (time[0] & 0x7F) << 16 | time[1] << 8 | time[2],
        "offsets": np.cumsum([0, *(len(content) // 5 for content in contents)]),
        "labels": label,
        "sample_id": number.astype(np.int32),
        "is_test": np.arange(len(number)) >= len(parts[0]),
    }


FILE = DataFile(
    "nmnist_small/nmnist_small.npz",
    (
        "sha256:87ee9328a35bbb80e505345eee3083036e0b203d4132556ed223ff6273743c93",
        "arrays:0067d1b80a02211c2b2bca503dfaa46743f5313916b7781f39a3d6f4938f79bf",
    ),
    (),
    made=recordings,
)


@DATASETS.register(
    "nmnist", about="1,100 handwritten digits seen by an event camera", licence="CC BY-SA 4.0", files=(FILE,)
)
def load(*, step: float = 5.0, steps: int = 60, pool: int = 2, counts: bool = False) -> Dataset:
    """The first 1,000 training and 100 test recordings of N-MNIST: ``x`` (examples, steps, inputs).

    A recording is three movements of the camera of about 100 ms each, seen by 34 × 34 pixels of two polarities.
    It is a sample: **results on it cannot be compared with published ones of all 70,000.** The full set is read by
    Tonic, see `neko.datasets.events.from_tonic`.

    Parameters
    ----------
    step
        Duration of a step in ms.
    steps
        Number of steps; later events are left out. At 60 of 5 ms, 0.25 % of the events are.
    pool
        Side of the squares of pixels that are one input each: 578 inputs for 2, 2,312 for 1.
    counts
        Whether an entry is the number of events of a step, or 1 where there is any.

    References
    ----------
    Orchard et al. (2015), doi:10.3389/fnins.2015.00437, CC BY-SA 4.0; of its recordings those in
    github.com/bamsumit/slayerPytorch, in the order in which they are there.
    """
    check_integer("steps", steps)
    arrays = read()
    labels, test = arrays["labels"], arrays["is_test"]
    events = np.empty(len(arrays["t"]), dtype=[("x", "u1"), ("y", "u1"), ("p", "u1"), ("t", "u4")])
    for name in events.dtype.names or ():
        events[name] = arrays[name]
    spikes = np.stack(
        [
            binned(recording, SENSOR, step=step, steps=steps, pool=pool, counts=counts)
            for recording in np.split(events, arrays["offsets"][1:-1])
        ]
    )
    return Dataset(spikes[~test], labels[~test], spikes[test], labels[test], 10)


def read() -> dict[str, np.ndarray]:
    """The arrays of the sample, see `recordings`."""
    return arrays_of(FILE)
