"""Real and generated data as NumPy arrays."""

from __future__ import annotations

import inspect
from typing import Any

from neko.datasets import copying, digits, evidence, mnist, mnist1d, pattern, store_recall, timit
from neko.datasets.dataset import Dataset
from neko.datasets.entry import Entry

OWN = "MIT, as neko"

DATASETS: dict[str, Entry] = {
    "digits": Entry(digits.load, "1,797 handwritten digits of 8 × 8 pixels", "CC BY 4.0"),
    "mnist": Entry(
        mnist.load, "70,000 handwritten digits of 28 × 28 pixels", "CC BY-SA 3.0", tuple(mnist.FILES.values())
    ),
    "mnist1d": Entry(mnist1d.load, "5,000 one-dimensional digits, 40 steps of one value", "Apache-2.0"),
    "mnist1d-step": Entry(mnist1d.load_step, "the same as one step of 40 inputs", "Apache-2.0"),
    "timit": Entry(
        timit.load, "phones of 6,300 sentences of speech, the full corpus", "LDC93S1, licensed", tree=timit.tree
    ),
    "timit-sample": Entry(
        timit.load_sample, "phones of 160 sentences of TIMIT, NLTK's sample", "CC BY-NC-SA", (timit.SAMPLE,)
    ),
    "pattern": Entry(pattern.load, "draw a sum of four sines from frozen Poisson input", OWN),
    "evidence": Entry(evidence.load, "tell which side had more cues, after a delay", OWN),
    "store-recall": Entry(store_recall.load, "store a bit on command and recall it on command", OWN),
    "copy": Entry(copying.load, "give back a sequence of symbols after a delay", OWN),
}


def entry(name: str) -> Entry:
    """What is known of the data set of a name; ValueError lists the names there are."""
    if not isinstance(name, str) or name not in DATASETS:
        raise ValueError(f"data set {name!r}: expected one of {sorted(DATASETS)}")
    return DATASETS[name]


def load(name: str, **options: Any) -> Dataset:
    """The data set of a name.

    Parameters
    ----------
    name
        One of `DATASETS`.
    **options
        Keyword arguments of its loader, for example ``phones=39`` for TIMIT or ``train=1000`` for a generated task.

    Raises
    ------
    ValueError
        For an unknown name, listing the names there are, or a bad value of an option.
    TypeError
        For an option that the data set does not have, listing those it has.
    OSError
        If a file is not here and can not be downloaded.
    """
    found = entry(name)
    known = tuple(inspect.signature(found.load).parameters)
    for option in options:
        if option not in known:
            raise TypeError(f"data set {name!r} has no option {option!r}: expected one of {known!r}")
    return found.load(**options)


__all__ = ["DATASETS", "Dataset", "Entry", "entry", "load"]
