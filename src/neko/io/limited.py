"""Files that others have made, read within stated limits: bytes, text, and rows of CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

LINE = 2**20
"""Characters of a line of a table."""


def check(path: Path, limit: int) -> None:
    """ValueError for a file of more than `limit` bytes, and for a device or a pipe, which need not end."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise ValueError(f"{path} is a device or a pipe: expected a file")
    if (size := path.stat().st_size) > limit:
        raise ValueError(f"{path} has {size:,} bytes: expected at most {limit:,}")


def content(path: Path, limit: int) -> bytes:
    """The bytes of a file; errors as `check`."""
    check(path, limit)
    return path.read_bytes()


def text(path: Path, limit: int) -> str:
    """The text of a file in UTF-8; ValueError also for anything else."""
    try:
        found = content(path, limit).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text in UTF-8: {error}") from error
    if "\0" in found:
        raise ValueError(f"{path} is not text: it has a byte 0")
    return found


def lines(path: Path, limit: int) -> Iterator[str]:
    """The lines of a text in UTF-8, one by one; ValueError also for one of more than `LINE` characters."""
    check(path, limit)
    with path.open(encoding="utf-8-sig") as file:
        try:
            while line := file.readline(LINE + 1):
                if len(line) > LINE:
                    raise ValueError(f"{path} has a line of more than {LINE:,} characters: expected a table")
                if "\0" in line:
                    raise ValueError(f"{path} is not text: it has a byte 0; expected a table")
                yield line
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is not text in UTF-8: expected a table") from error


def rows(path: Path, limit: int, *, others: str = ";\t") -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV file that are not empty, with their numbers from 1; between the columns is the first of the
    signs `others` that the file has, or a comma. ValueError as `lines`."""
    found = {sign for line in lines(path, limit) for sign in others if sign in line}
    between = next((sign for sign in others if sign in found), ",")
    try:
        for n, row in enumerate(csv.reader(lines(path, limit), delimiter=between), 1):
            if any(row):
                yield n, row
    except csv.Error as error:
        raise ValueError(f"{path} is no CSV: {error}") from error
