"""What a translation kept of every node, and what it lost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from neko.io import files


class Entry(NamedTuple):
    """A node by name and type, with what is kept of it and what is lost; '' where nothing is."""

    node: str
    type: str
    kept: str
    lost: str = ""


@dataclass(frozen=True)
class Report:
    """One entry for each node, and one, named 'network', for what concerns all of them.

    >>> print(Report((Entry("layers.0", "LIF", "tau 5 ms", "the surrogate gradient"),)))
    node      type  kept      lost
    layers.0  LIF   tau 5 ms  the surrogate gradient
    """

    entries: tuple[Entry, ...]

    @property
    def lost(self) -> dict[str, str]:
        """What is lost, by node."""
        return {entry.node: entry.lost for entry in self.entries if entry.lost}

    def save(self, path: str | Path) -> Path:
        """Write the table as CSV."""
        return files.write_table(path, Entry._fields, [entry._asdict() for entry in self.entries])

    def __str__(self) -> str:
        rows = [Entry._fields, *self.entries]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
        return "\n".join(lines)


def told(parts: Iterable[str]) -> str:
    """The parts that say something, separated by semicolons."""
    return "; ".join(filter(None, parts))
