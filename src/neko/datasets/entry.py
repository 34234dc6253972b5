"""The registry of data sets, with their properties before loading."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from neko.datasets import fetch
from neko.datasets.dataset import Dataset
from neko.datasets.fetch import DataFile
from neko.registry import Registry

OWN = "MIT, as neko"
"""Licence of the generated tasks."""


class Entry(NamedTuple):
    """One data set of the registry.

    Attributes
    ----------
    name
        Name in the registry.
    load
        Returns the data set; its keyword arguments are the options of `neko.datasets.load`.
    about
        Description in one line.
    licence
        Licence of the data.
    files
        Files that it is read from, found or downloaded; empty for a set that is generated or part of a package.
    tree
        Of a set that is a whole folder and cannot be downloaded: finds it, or raises FileNotFoundError.
    """

    name: str
    load: Callable[..., Dataset]
    about: str = ""
    licence: str = ""
    files: tuple[DataFile, ...] = ()
    tree: Callable[[], Path] | None = None

    def paths(self) -> list[Path]:
        """Paths of the files of the set, downloaded if necessary; see `neko.datasets.fetch.find`."""
        return [self.tree()] if self.tree else [fetch.find(file) for file in self.files]

    def place(self) -> str:
        """Where the files are: ``NEKO_DATA``, ``cache``, ``not here``, or ``built in`` for a set without files."""
        if self.tree:
            try:
                self.tree()
            except FileNotFoundError:
                return "not here"
            return "NEKO_DATA"
        places = {fetch.place(file) for file in self.files}
        if "not here" in places:
            return "not here"
        return " and ".join(sorted(places)) or "built in"


DATASETS: Registry[Entry] = Registry(
    "data set", "neko.datasets", ("about", "licence"), made=Entry, other="a function that gives a Dataset"
)
