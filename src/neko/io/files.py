"""Atomic writes: after any interruption a file has its old or its new content."""

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
    """Write a file atomically, creating its folder.

    The bytes go to a temporary file in the same folder, which is flushed to the disk and renamed to `path`; the folder
    is then flushed too.

    Raises
    ------
    OSError
        If the folder cannot be written or the disk is full; an existing file is unchanged.
    """
    path = as_path("path", path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)  # of a process that was killed and had this number
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        flush_folder(path.parent)
    except BaseException as error:  # also after Ctrl-C
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        told = f"not written: {error.strerror}; make room there, or choose a place that can be written"
        raise type(error)(error.errno, told, str(path)) from error
    return path


def write_table(path: str | Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write rows as CSV, numbers with all digits."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(rows)
    return write(path, text.getvalue().encode())


def prepare(folder: Path) -> None:
    """Create a folder; OSError, before any work, if it cannot be written."""
    remedy = "expected a folder that can be written, or another path"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise type(error)(error.errno, f"{folder}: {error.strerror}: {remedy}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, f"{folder}: {os.strerror(errno.EACCES)}: {remedy}")


def check_inside(folder: Path, *names: str) -> None:
    """ValueError for parts of a folder that lead out of it by a link: what is written there would be elsewhere."""
    for name in names:
        place = (folder / name).resolve()
        if not place.is_relative_to(folder.resolve()):
            remedy = f"expected a folder in {folder}; a link may stand for the whole"
            raise ValueError(f"{folder / name} is a link to {place}: {remedy}")


def clean(folder: Path) -> None:
    """Remove temporary files of a process that was killed while writing."""
    for left in folder.glob(".*.tmp"):
        left.unlink()


def flush_folder(folder: Path) -> None:
    """Flush a rename in a folder to the disk."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows cannot open folders
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
