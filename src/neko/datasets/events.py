"""Recordings of event cameras and silicon cochleas as spikes, and the data sets of Tonic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from neko.arguments import check_integer, check_number
from neko.datasets.dataset import Dataset, padded

MICROSECONDS = 1000.0
"""Of a millisecond: events have their time in µs, options in ms."""
NUMBERS = 2**27
"""Of a recording as spikes, of 8 bytes each while they are counted: 1 GiB."""


def binned(
    events: np.ndarray,
    sensor_size: Sequence[int],
    *,
    step: float = 5.0,
    steps: int | None = None,
    pool: int = 1,
    counts: bool = False,
) -> np.ndarray:
    """The events of one recording as spikes in steps of time.

    Parameters
    ----------
    events
        Structured array (events,) with the fields ``x``, ``t`` in µs, ``p``, and ``y`` if the sensor has rows.
    sensor_size
        (columns, rows, polarities) as in Tonic. Of a sensor of one polarity ``p`` is not read.
    step
        Duration of a step in ms: an event at t is in step ⌊t / step⌋.
    steps
        Number of steps; later events are left out. By default as many as hold the last event.
    pool
        Side of the squares of pixels that are one input each.
    counts
        Whether an entry is the number of events, or 1 where there is any.

    Returns
    -------
    ndarray
        (steps, inputs) float32, where the input of pixel (x, y) and polarity p is
        ``(p · rows + y // pool) · columns + x // pool`` with the rows and columns that are left by the pooling.

    Raises
    ------
    ValueError
        For an event outside the sensor or before 0, or a size below 1.

    Examples
    --------
    >>> events = np.array([(0, 0, 0), (1, 900, 1), (1, 950, 1)], dtype=[("x", int), ("t", int), ("p", int)])
    >>> binned(events, (2, 1, 2), step=0.5, counts=True).tolist()
    [[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 2.0]]
    """
    check_number("step", step, positive=True)
    check_integer("pool", pool)
    columns, rows, polarities = (int(size) for size in sensor_size)
    zeros = np.zeros(len(events), dtype=np.int64)
    fields = events.dtype.names or ()
    x, y, p = (
        events[name].astype(np.int64) if name in fields and size > 1 else zeros
        for name, size in (("x", columns), ("y", rows), ("p", polarities))
    )
    t = np.floor(events["t"] / (MICROSECONDS * step)).astype(np.int64)
    for name, values, size in (("x", x, columns), ("y", y, rows), ("p", p, polarities), ("t", t, np.inf)):
        if len(values) and not 0 <= values.min() <= values.max() < size:
            raise ValueError(
                f"events have {name} from {values.min()} to {values.max()}: expected 0 <= {name} < {size}, "
                f"of sensor_size={tuple(sensor_size)!r}"
            )
    steps = int(t.max(initial=0)) + 1 if steps is None else check_integer("steps", steps)
    columns, rows = -(-columns // pool), -(-rows // pool)
    inputs = polarities * rows * columns
    if steps * inputs > NUMBERS:
        raise ValueError(
            f"{steps:,} steps of {inputs:,} inputs: expected at most {NUMBERS:,} numbers of a recording; give steps, "
            "or a longer step"
        )
    entry = (((t * polarities + p) * rows + y // pool) * columns + x // pool)[t < steps]
    frames = np.bincount(entry, minlength=steps * inputs).reshape(steps, inputs)
    return (frames if counts else frames > 0).astype(np.float32)


def from_tonic(
    train: Any,
    test: Any,
    *,
    sensor_size: Sequence[int] | None = None,
    step: float = 5.0,
    steps: int | None = None,
    pool: int = 1,
    counts: bool = False,
) -> Dataset:
    """Data sets of Tonic as they are.

    Parameters
    ----------
    train, test
        Data sets of pairs (recording, class number), for example ``tonic.datasets.NMNIST(folder)`` and
        ``tonic.datasets.NMNIST(folder, train=False)``. A recording is a structured array of events, or frames
        (time, …) that a transform of the data set has made of them; the axes of a frame become inputs in their order.
    sensor_size
        By default that of `train`.
    step, steps, pool, counts
        As in `binned`; of frames only `steps` applies.

    Returns
    -------
    Dataset
        ``x`` (examples, time, inputs). Recordings that end before the longest are padded with zeros and masked there;
        with `steps`, all are cut, or go on in silence, and there is no mask.

    Raises
    ------
    ValueError
        For events without a sensor size, recordings of different numbers of inputs, or no recordings.
    TypeError
        For targets that are no class numbers.
    """
    if steps is not None:
        check_integer("steps", steps)
    size = getattr(train, "sensor_size", None) if sensor_size is None else sensor_size

    def spikes(recording: Any) -> np.ndarray:
        array = np.asarray(recording)
        if array.dtype.names is None:
            return array.reshape(len(array), -1).astype(np.float32)[:steps]
        if size is None:
            raise ValueError(
                "sensor_size=None: expected (columns, rows, polarities), which this data set does not state"
            )
        return binned(array, size, step=step, steps=steps, pool=pool, counts=counts)

    parts = [
        [(spikes(recording), target) for recording, target in (part[i] for i in range(len(part)))]
        for part in (train, test)
    ]
    inputs = {x.shape[1] for part in parts for x, _ in part}
    if len(inputs) != 1 or not all(parts):
        raise ValueError(
            f"{len(parts[0])} and {len(parts[1])} recordings of {sorted(inputs)!r} inputs: expected some in both, all "
            "of the same number of inputs"
        )
    lengths = [np.array([len(x) for x, _ in part]) for part in parts]
    longest = max(map(max, lengths)) if steps is None else steps
    x_train, x_test = (padded([x for x, _ in part], longest) for part in parts)
    y_train, y_test = (class_numbers([target for _, target in part]) for part in parts)
    masks: list[np.ndarray] | list[None] = [None, None]
    if steps is None and any((length < longest).any() for length in lengths):
        masks = [(np.arange(longest) < length[:, None]).astype(np.float32) for length in lengths]
    outputs = len(getattr(train, "classes", ())) or 1 + int(max(y_train.max(), y_test.max()))
    return Dataset(x_train, y_train, x_test, y_test, outputs, *masks)


def class_numbers(targets: list[Any]) -> np.ndarray:
    """The targets of a data set as whole numbers, (examples,); TypeError for anything else."""
    y = np.asarray(targets)
    if y.ndim != 1 or not np.issubdtype(y.dtype, np.integer):
        raise TypeError(
            f"targets such as {targets[0]!r}: expected class numbers; give the data set a target_transform to them"
        )
    return y.astype(np.int64)
