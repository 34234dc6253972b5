"""Signals of files, CSV, NPY and WAV, and spikes to CSV and NPY; a column for each channel, a row for each sample."""

from __future__ import annotations

import csv
import io
import math
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from neko.io import files


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
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text in UTF-8: expected numbers, a column for each channel") from error
    between = next((sign for sign in ";\t" if sign in text), ",")
    lines = [(n, row) for n, row in enumerate(csv.reader(text.splitlines(), delimiter=between), 1) if any(row)]
    named = bool(lines) and all(number(field) is None for field in lines[0][1])
    rows = []
    for n, row in lines[named:]:
        values = [number(field) for field in row]
        wrong = [field for field, value in zip(row, values, strict=True) if value is None]
        if wrong:
            raise ValueError(f"{path}, line {n}: {wrong[0]!r}: expected a finite number")
        if len(row) != len(lines[0][1]):
            raise ValueError(f"{path}, line {n}: {len(row)} columns: expected {len(lines[0][1])}, as in the first line")
        rows.append(values)
    if not rows:
        raise ValueError(f"{path} holds no numbers: expected a row for each sample")
    return [name.strip() for name in lines[0][1]] if named else [], np.array(rows, dtype=np.float64)


def number(field: str) -> float | None:
    """A finite number, or None."""
    try:
        value = float(field)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def from_npy(path: Path) -> tuple[list[str], np.ndarray]:
    try:
        x = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path} is not an array of NumPy: {error}") from error
    return [], x[:, None] if x.ndim == 1 else x


def from_wav(path: Path) -> tuple[list[str], np.ndarray]:
    try:
        with wave.open(str(path)) as file:
            channels, width, data = file.getnchannels(), file.getsampwidth(), file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise ValueError(f"{path}: {str(error) or 'it ends early'}: expected uncompressed integers in WAV") from error
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
