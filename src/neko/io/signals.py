"""Signals of files, CSV, NPY and WAV, and spikes to CSV and NPY; a column for each channel, a row for each sample."""

from __future__ import annotations

import array
import io
import math
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from neko.io import archives, files, limited

LIMIT = 2**30
"""Bytes of the numbers of a signal, as they are in memory, eight each of a CSV or WAV file: 1 GiB."""


def read(path: Path) -> tuple[list[str], np.ndarray]:
    """Names of the channels and a signal (time, channels).

    A CSV file may begin with a line of names, and has commas, semicolons or tabs between its columns. Integers of a WAV
    file are scaled to [-1, 1): 16 bits by 1 / 32768.

    Raises
    ------
    ValueError
        For another suffix, or a file that is not what its suffix says; of a CSV file, with the line.
    FileNotFoundError
        If there is no such file.
    """
    if (reader := READERS.get(path.suffix.lower())) is None:
        raise ValueError(f"{str(path)!r}: expected a file that ends in one of {sorted(READERS)!r}")
    if not path.is_file():
        raise FileNotFoundError(f"no file {str(path)!r}: expected a signal that ends in one of {sorted(READERS)!r}")
    names, x = reader(path)
    if x.ndim != 2 or 0 in x.shape or not (np.issubdtype(x.dtype, np.number) or x.dtype == bool):
        raise ValueError(f"{path} has shape {x.shape!r} of {x.dtype}: expected numbers, (time,) or (time, channels)")
    return names or [f"channel {c}" for c in range(x.shape[1])], x


def from_csv(path: Path) -> tuple[list[str], np.ndarray]:
    first: list[str] = []
    named, found = False, array.array("d")
    for n, row in limited.rows(path, LIMIT):
        if not first:
            first, named = row, all(number(field) is None for field in row)
            if named:
                continue
        values = [number(field) for field in row]
        wrong = [field for field, value in zip(row, values, strict=True) if value is None]
        if wrong:
            raise ValueError(f"{path}, line {n}: {wrong[0]!r}: expected a finite number")
        if len(row) != len(first):
            raise ValueError(f"{path}, line {n}: {len(row)} columns: expected {len(first)}, as in the first line")
        if 8 * len(found) > LIMIT:
            raise ValueError(f"{path}, line {n}: expected at most {LIMIT // 8:,} numbers in a file")
        found.extend(value for value in values if value is not None)
    if not found:
        raise ValueError(f"{path} holds no numbers: expected a row for each sample")
    x = np.frombuffer(found, np.float64).reshape(-1, len(first))
    return [name.strip() for name in first] if named else [], x


def number(field: str) -> float | None:
    """A finite number, or None."""
    try:
        value = float(field)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def from_npy(path: Path) -> tuple[list[str], np.ndarray]:
    x = archives.read_array(path, LIMIT)
    return [], x[:, None] if x.ndim == 1 else x


def from_wav(path: Path) -> tuple[list[str], np.ndarray]:
    try:
        with wave.open(io.BytesIO(limited.content(path, LIMIT // 8))) as file:
            channels, width, data = file.getnchannels(), file.getsampwidth(), file.readframes(file.getnframes())
    except (wave.Error, EOFError, RuntimeError) as error:
        raise ValueError(f"{path}: {str(error) or 'it ends early'}: expected uncompressed integers in WAV") from error
    if width > 4:
        raise ValueError(f"{path} has {8 * width} bits a sample: expected 8, 16, 24 or 32")
    data = data[: len(data) // (width * channels) * width * channels]
    if width == 1:  # the only width without a sign
        return [], (np.frombuffer(data, np.uint8).reshape(-1, channels) - 128.0) / 128.0
    # the bytes become the highest of 32 bits
    whole = np.zeros((len(data) // width, 4), np.uint8)
    whole[:, 4 - width :] = np.frombuffer(data, np.uint8).reshape(-1, width)
    return [], whole.view("<i4").reshape(-1, channels) / 2.0**31


READERS = {".csv": from_csv, ".npy": from_npy, ".wav": from_wav}


def check_target(path: Path) -> None:
    """ValueError for a path to which `write` does not write."""
    if path.suffix.lower() not in (".npy", ".csv"):
        raise ValueError(f"{str(path)!r}: expected a path that ends in one of ['.csv', '.npy']")


def write(path: Path, names: Sequence[str], spikes: np.ndarray) -> Path:
    """Write spikes (time, channels) as integers, with the names as the first line of CSV; errors as `files.write`."""
    check_target(path)
    counts = spikes.astype(np.int8)
    if path.suffix.lower() == ".csv":
        rows = (dict(zip(names, row, strict=True)) for row in counts.tolist())
        return files.write_table(path, names, rows)
    content = io.BytesIO()
    np.save(content, counts)
    return files.write(path, content.getvalue())
