"""The next batch is fetched while the device is busy with the one before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from neko.data.intake import Examples
from neko.data.sources import Source


class Prefetcher(Iterator[Examples]):
    """The batches of an epoch, of which `fetch` prepares the next one while the device is still busy.

    Parameters
    ----------
    source, batches
        A source and batches of it.
    marked
        Whether a checkpoint may be wanted while a batch waits; to look at the generators takes its time.

    Attributes
    ----------
    mark : dict or None
        `Source.mark` before the batch that was fetched and not yet given, for a checkpoint in between.
    """

    def __init__(self, source: Source, batches: Iterator[Examples], *, marked: bool) -> None:
        self.mark: Any = None
        self._source = source
        self._marked = marked
        self._batches = batches
        self._waiting: Examples | Exception | None = None

    def fetch(self) -> None:
        """Have the next batch ready; what goes wrong, or that there is none, is told when its turn comes."""
        if self._waiting is None:
            self.mark = self._source.mark() if self._marked else None
            try:
                self._waiting = next(self._batches)
            except Exception as error:
                self._waiting = error

    def fetch_again(self, mark: Any) -> None:
        """Have the next batch ready as it was drawn when the generators stood at `mark`."""
        now = self._source.mark()
        self._source.reset(mark)
        self.fetch()
        self._source.reset(now)

    def __next__(self) -> Examples:
        if self._waiting is None:
            return next(self._batches)
        found, self._waiting, self.mark = self._waiting, None, None
        if isinstance(found, Exception):
            raise found
        return found
