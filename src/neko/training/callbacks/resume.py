"""Resuming from a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from neko import identity
from neko.arguments import as_path
from neko.io import checkpoint
from neko.training.callbacks.base import Callback
from neko.training.loop import Loop


class Resume(Callback):
    """Loads the checkpoint of the argument ``resume`` of `Trainer.train`, after the other callbacks have begun and
    before new files are written."""

    order = 1
    recorded = False

    def __init__(self, path: str | Path, changed: Sequence[str] = ()) -> None:
        self.path = as_path("resume", path)
        self.changed = identity.check_names("changed", changed)

    def begin(self, loop: Loop) -> None:
        found = checkpoint.listed(self.path) if self.path.is_dir() else [self.path]
        if not found:
            raise FileNotFoundError(f"resume={str(self.path)!r} has no checkpoint: expected a checkpoint or its folder")
        loop.resume(found[-1], self.changed)
