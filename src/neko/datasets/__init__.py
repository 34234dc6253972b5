"""Recorded and generated data sets as NumPy arrays."""

from __future__ import annotations

import inspect
from typing import Any

from neko.datasets.dataset import Dataset
from neko.datasets.entry import DATASETS, Entry
from neko.registry import called

entry = DATASETS.resolve


def load(name: Any, **options: Any) -> Dataset:
    """A data set.

    Parameters
    ----------
    name : str or callable
        A name of `DATASETS`; or your own function that returns a `Dataset`, itself or as ``file.py:load_mine``. A name
        may have options, as in ``"timit-sample(phones=39)"``.
    **options
        Keyword arguments of its loader, for example ``phones=39`` for TIMIT or ``train=1000`` for a generated task.

    Raises
    ------
    ValueError
        For an unknown name, listing the known ones, or an invalid value of an option.
    TypeError
        For an option that the data set does not have, listing those it has, or a function that returns no `Dataset`.
    OSError
        If a file is not on this machine and cannot be downloaded.
    """
    if isinstance(name, str):
        name, written = called(name)
        options = {**written, **options}
    found = entry(name)
    known = tuple(inspect.signature(found.load).parameters)
    for option in options:
        if option not in known:
            raise TypeError(f"data set {found.name!r} has no option {option!r}: expected one of {known!r}")
    data = found.load(**options)
    if not isinstance(data, Dataset):
        raise TypeError(f"data set {found.name!r} gave a {type(data).__name__}: expected a neko.datasets.Dataset")
    return data


__all__ = ["DATASETS", "Dataset", "Entry", "entry", "load"]
