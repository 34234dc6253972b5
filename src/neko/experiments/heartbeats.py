"""Heartbeats as inputs of networks, and classifiers without a network."""

from __future__ import annotations

from typing import Any

import numpy as np

from neko import encoders
from neko.datasets import Dataset

GAIN = 5.0
"""Of the difference of two samples beside the signal."""
TOGETHER = 2
"""Samples that a network reads in one time step."""


def inputs(x: np.ndarray, code: str | None) -> tuple[np.ndarray, float]:
    """Inputs of a network, and spikes per sample.

    Parameters
    ----------
    x : array (beats, time, 1)
        Beats.
    code : str or None
        An encoder with its options; None for the signal itself and `GAIN` times its difference to the sample before.

    Returns
    -------
    array (beats, ⌈time / 2⌉, …)
        What `TOGETHER` samples have, spikes of each of their time steps included, as the inputs of one time step.
    float
        Spikes per sample, of all channels together; NaN without a code.
    """
    if code is None:
        found, steps, density = np.concatenate([x, GAIN * np.diff(x, axis=1, prepend=x[:, :1])], axis=-1), 1, np.nan
    else:
        encoder = encoders.resolve(code)
        found, steps = encoder.encode(x), encoder.steps
        density = float(np.abs(found).sum() / x.size)
    length = TOGETHER * steps
    found = np.pad(found, ((0, 0), (0, -found.shape[1] % length), (0, 0)))
    return found.reshape(len(x), found.shape[1] // length, length * found.shape[2]), density


def lengths(x: np.ndarray) -> np.ndarray:
    """Samples of each beat (beats, time, 1) before its zeros, (beats, 1)."""
    return x.shape[1] - np.argmax(x[:, ::-1, 0] != 0.0, axis=1)[:, None]


def baseline(name: str, data: Dataset, seed: int) -> float:
    """Test accuracy of a classifier of `BASELINES`."""
    own = lengths if name == LENGTH else lambda x: x[..., 0]
    classifier = BASELINES[name](seed).fit(own(data.x_train), data.y_train)
    return float(classifier.score(own(data.x_test), data.y_test))
