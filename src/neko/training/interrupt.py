"""Ctrl-C during a run."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


class Interrupt:
    """Whether the user has interrupted the run."""

    def __init__(self) -> None:
        self.wanted = False

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """The first Ctrl-C takes effect at the end of a batch, or of an epoch where a batch cannot be the end; a second
        one at once.

        Nothing changes outside of the main thread, where Python delivers no signals, and where the process ignores
        Ctrl-C, as under nohup, or has a handler that is not Python's.
        """
        foreign = signal.getsignal(signal.SIGINT) in (signal.SIG_IGN, None)
        if foreign or threading.current_thread() is not threading.main_thread():
            yield
            return

        def note(number: int, frame: Any) -> None:
            if self.wanted:
                raise KeyboardInterrupt
            self.wanted = True

        before = signal.signal(signal.SIGINT, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
