"""Files that are whole or not there at all."""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from neko.arguments import as_path


def write(path: str | Path, data: bytes) -> Path:
    """Write a file, making its folder; after any interruption it has its old content or the new one.

    The bytes go to a temporary file in the same folder, are flushed to the disk, and take the name `path` by a
    rename; the folder is then flushed too.

    Raises
    ------
    OSError
        If the folder cannot be written or the disk is full; what was at `path` before is untouched.
    """
    path = as_path("path", path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        flush_folder(path.parent)
    except BaseException as error:  # Ctrl-C leaves no half a file either
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        told = f"not written: {error.strerror}; make room there, or choose a place that can be written"
        raise type(error)(error.errno, told, str(path)) from error
    return path


def write_table(path: str | Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write rows as CSV, every number with all its digits."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(rows)
    return write(path, text.getvalue().encode())


def prepare(folder: Path) -> None:
    """Make a folder; OSError if it cannot be written, which is better known before the work than after it."""
    remedy = "expected a folder that can be written, or another path"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise type(error)(error.errno, f"{folder}: {error.strerror}: {remedy}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, f"{folder}: {os.strerror(errno.EACCES)}: {remedy}")


def clean(folder: Path) -> None:
    """Remove what a process left in a folder that was killed while it wrote."""
    for left in folder.glob(".*.tmp"):
        left.unlink()


def flush_folder(folder: Path) -> None:
    """Make a rename in a folder last through a power failure."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows has no such handle
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
