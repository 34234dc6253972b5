"""Measures for TensorBoard."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from neko.arguments import as_path
from neko.training.callbacks.base import Callback
from neko.training.loop import Loop


class TensorBoard(Callback):
    """Writes every measure of an epoch as a scalar, by tensorboardX.

    Parameters
    ----------
    folder : path
        Where the event file goes; look at it with ``tensorboard --logdir``.

    Raises
    ------
    ImportError
        If tensorboardX is not installed.
    """

    everywhere = False

    def __init__(self, folder: str | Path) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise ImportError("TensorBoard needs tensorboardX: pip install 'neko-learning[tensorboard]'") from error
        self.folder = as_path("folder", folder)
        self._open = SummaryWriter
        self._writer: Any = None

    def begin(self, loop: Loop) -> None:
        # Without a suffix two files of the same second would have the same name.
        self._writer = self._open(str(self.folder), filename_suffix=f".{time.time_ns()}")

    def epoch(self, loop: Loop) -> None:
        for name, values in loop.history.items():
            self._writer.add_scalar(name, values[-1], global_step=loop.history.epochs)
        self._writer.flush()

    def interrupted(self, loop: Loop) -> None:
        self._writer.close()

    def end(self, loop: Loop) -> None:
        self._writer.close()
