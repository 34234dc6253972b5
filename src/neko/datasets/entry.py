"""What is known of a data set before it is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from neko.datasets import fetch
from neko.datasets.dataset import Dataset
from neko.datasets.fetch import DataFile
from neko.registry import Registry

OWN = "MIT, as neko"
"""Licence of the tasks that are generated here."""


class Entry(NamedTuple):
    """One data set of the registry.

    Attributes
    ----------
    name
        By which it is asked for.
    load
        Gives the data set; its keyword arguments are the options of `neko.datasets.load`.
    about
        What it is, in a line.
    licence
        Under which it may be used.
    files
        What it is read from, found or downloaded; empty for a set that is generated or comes with a package.
    tree
        For a set that is a whole folder and can not be downloaded: finds it, or raises FileNotFoundError.
    """

    name: str
    load: Callable[..., Dataset]
    about: str = ""
    licence: str = ""
    files: tuple[DataFile, ...] = ()
    tree: Callable[[], Path] | None = None

    def paths(self) -> list[Path]:
        """The files of the set on this machine, downloaded where they have to be; see `neko.datasets.fetch.find`."""
        return [self.tree()] if self.tree else [fetch.find(file) for file in self.files]

    def place(self) -> str:
        """Where the set is now: ``NEKO_DATA``, ``cache``, ``not here``, or ``built in`` where it needs no file."""
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
