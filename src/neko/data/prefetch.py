"""Prefetching of the next batch while the device computes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from neko.data.intake import Examples
from neko.data.sources import Source


class Prefetcher(Iterator[Examples]):
    """The batches of an epoch of a source; `fetch` prepares the next one while the device is still busy.

    If `marked`, ``mark`` is the generators' state `Source.mark` before a batch that is fetched and not yet returned,
    for a checkpoint; else None.
    """

    def __init__(self, source: Source, batches: Iterator[Examples], *, marked: bool) -> None:
        self.mark: Any = None
        self._source = source
        self._marked = marked
        self._batches = batches
        self._waiting: Examples | Exception | None = None

    def fetch(self) -> None:
        """Prepare the next batch; an error, or the end of the epoch, is raised when the batch is requested."""
        if self._waiting is None:
            self.mark = self._source.mark() if self._marked else None
            try:
                self._waiting = next(self._batches)
            except Exception as error:
                self._waiting = error

    def fetch_again(self, mark: Any) -> None:
        """Prepare the next batch as drawn from the generators' state `mark`."""
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
