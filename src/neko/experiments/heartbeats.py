"""Heartbeats as inputs of networks, and classifiers without a network."""

from __future__ import annotations

from typing import Any

import numpy as np

from neko import encoders
from neko.datasets import Dataset

GAIN, DIFFERENCE = 2.0, 5.0
"""Of all inputs, and of the difference of two samples beside the signal."""
TOGETHER = 2
"""Samples that a network reads in one time step."""

LENGTH, LOGISTIC, NEIGHBOUR, FOREST = "length only", "logistic regression", "1-NN", "random forest"
BASELINES = (LENGTH, LOGISTIC, NEIGHBOUR, FOREST)


def inputs(data: Dataset, code: str | None) -> tuple[np.ndarray, np.ndarray, float]:
    """Inputs of a network to train and to test, each less its mean over the beats to train, and spikes per sample.

    Parameters
    ----------
    data : Dataset
        Beats (beats, time, 1).
    code : str or None
        An encoder with its options; None for the signal and its difference to the sample before.

    Returns
    -------
    array (beats, ⌈time / 2⌉, …), array
        What `TOGETHER` samples have, spikes of all their time steps included, as the inputs of one time step.
    float
        Spikes per sample of the beats to train, of all channels together; NaN without a code.
    """
    encoder = None if code is None else encoders.resolve(code)
    encode = signal_and_difference if encoder is None else encoder.encode
    train, test = encode(data.x_train), encode(data.x_test)
    density = np.nan if encoder is None else encoders.measures.density(train, data.x_train)
    length = TOGETHER * (1 if encoder is None else encoder.steps)
    train, test = folded(train, length), folded(test, length)
    mean = train.mean(axis=(0, 1))
    return GAIN * (train - mean), GAIN * (test - mean), density


def signal_and_difference(x: np.ndarray) -> np.ndarray:
    """Beats (beats, time, 1) and their difference to the sample before, (beats, time, 2)."""
    difference = np.diff(x, axis=1, prepend=x[:, :1])
    return np.concatenate([x, DIFFERENCE * difference], axis=-1)


def folded(x: np.ndarray, length: int) -> np.ndarray:
    """Each `length` time steps as channels of one, with zeros after the last.

    >>> folded(np.arange(3.0).reshape(1, 3, 1), 2).tolist()
    [[[0.0, 1.0], [2.0, 0.0]]]
    """
    x = np.pad(x, ((0, 0), (0, -x.shape[1] % length), (0, 0)))
    return x.reshape(len(x), x.shape[1] // length, length * x.shape[2])


def baseline(name: str, data: Dataset, seed: int) -> float:
    """Test accuracy of one of `BASELINES`; ImportError says what to install."""
    train, test = ((lengths(x) if name == LENGTH else x[..., 0]) for x in (data.x_train, data.x_test))
    return float(classifier(name, seed).fit(train, data.y_train).score(test, data.y_test))


def lengths(x: np.ndarray) -> np.ndarray:
    """Samples of each beat (beats, time, 1) before its zeros, (beats, 1)."""
    return x.shape[1] - np.argmax(x[:, ::-1, 0] != 0.0, axis=1)[:, None]


def classifier(name: str, seed: int) -> Any:
    """A classifier of scikit-learn with its own defaults; the length is classified by a forest."""
    try:
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.linear_model import LogisticRegression
        from sklearn.neighbors import KNeighborsClassifier
    except ImportError as error:
        raise ImportError("baselines need scikit-learn: pip install 'neko-learning[experiments]'") from error
    if name == LOGISTIC:
        return LogisticRegression(max_iter=1000)
    return KNeighborsClassifier(1) if name == NEIGHBOUR else RandomForestClassifier(random_state=seed)
