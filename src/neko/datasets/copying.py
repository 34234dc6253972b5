"""Copy: reproduce a sequence of random symbols after a delay."""

from __future__ import annotations

import numpy as np

from neko.datasets.dataset import Dataset
from neko.datasets.draws import streams, whole
from neko.datasets.entry import DATASETS, OWN


@DATASETS.register("copy", about="reproduce a sequence of symbols after a delay", licence=OWN)
def load(
    *,
    train: int = 1000,
    test: int = 200,
    symbols: int = 8,
    length: int = 10,
    delay: int = 10,
    hold: int = 1,
    seed: int = 0,
) -> Dataset:
    """Sequences of symbols to be kept in memory and reproduced after a cue.

    `length` symbols, `delay` empty steps, the cue, then `length` empty steps in which the symbols are the targets.

    Parameters
    ----------
    train, test
        Examples, from independent streams.
    symbols
        Size of the alphabet.
    length, delay
        In symbols.
    hold
        Time steps per symbol, for networks with slow neurons.
    seed
        Seed of all random draws.

    Returns
    -------
    Dataset
        ``x`` (examples, (2 · length + delay + 1) · hold, symbols + 1), a unit vector per symbol with the cue as
        the last input; ``y`` (examples, time) of classes, and masks that are 1 in the last length · hold steps.
        Masked frames do not count in metrics and firing rates either: a regularised rate is that of the steps in
        which symbols are reproduced.

    Raises
    ------
    ValueError
        For a size out of range.

    Notes
    -----
    Graves et al. use vectors of random bits and variable lengths; here a symbol is one of several classes and the
    length is fixed, as in Hochreiter & Schmidhuber (1997).

    References
    ----------
    Graves et al. (2014), arXiv:1410.5401, Section 4.1.
    """
    whole(1, train=train, test=test, length=length, hold=hold)
    whole(2, symbols=symbols)
    whole(0, delay=delay)

    def part(rng: np.random.Generator, examples: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        shown = rng.integers(symbols, size=(examples, length))
        steps = 2 * length + delay + 1
        x = np.zeros((examples, steps, symbols + 1), dtype=np.float32)
        x[:, :length] = np.eye(symbols + 1, dtype=np.float32)[shown]
        x[:, length + delay, symbols] = 1.0
        y = np.zeros((examples, steps), dtype=np.int64)
        y[:, -length:] = shown
        mask = np.zeros((examples, steps), dtype=np.float32)
        mask[:, -length:] = 1.0
        return np.repeat(x, hold, axis=1), np.repeat(y, hold, axis=1), np.repeat(mask, hold, axis=1)

    (x, y, mask), (x_test, y_test, mask_test) = map(part, streams(seed), (train, test))
    return Dataset(x, y, x_test, y_test, symbols, mask, mask_test)
