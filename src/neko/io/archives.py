"""Archives and arrays of NumPy that others have made: nothing is unpacked to the disk, nothing unpickled, and no more
memory taken than what they state and is within a limit."""

from __future__ import annotations

import lzma
import math
import struct
import tokenize
import warnings
import wave
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

LIMIT = 2**30
"""Bytes of all members of an archive, or of an array, as they are in memory: 1 GiB."""
COUNT = 2**17
"""Members of an archive."""
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
DICTIONARY = 2**26
"""Bytes that LZMA, in which arrays may be compressed too, may remember: 64 MiB."""
PIECE = 2**12
"""Bytes that are read at a time: LZMA makes up to ten thousand times as many of them."""
FAULTS = (
    *(ValueError, TypeError, LookupError, EOFError, ArithmeticError, RuntimeError, MemoryError, SyntaxError, OSError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, tokenize.TokenError, wave.Error),
)
"""What the readers of Python and NumPy raise for damaged contents."""


@contextmanager
def opened(path: Path, *, lzma: bool = False) -> Iterator[zipfile.ZipFile]:
    """A zip archive whose members are read by name.

    ValueError for one with a name twice, more than `COUNT` members or `LIMIT` bytes, encrypted, or compressed otherwise
    than by deflate or, where it is read in pieces, `lzma`; and for whatever fails in the block, since then a member is
    missing or is not what was expected.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            check(archive, lzma)
            yield archive
    except FileNotFoundError:
        raise
    except FAULTS as error:
        raise ValueError(f"{path} is damaged, or another archive than expected ({told(error)})") from error


def check(archive: zipfile.ZipFile, lzma: bool) -> None:
    """ValueError for an archive that is not read."""
    members = archive.infolist()
    size = sum(member.file_size for member in members)
    if size > LIMIT or len(members) > COUNT:
        raise ValueError(f"{len(members):,} members of {size:,} bytes: expected at most {COUNT:,} of {LIMIT:,}")
    if len({member.filename for member in members}) < len(members):
        raise ValueError("a member is there twice: expected each once")
    for member in members:
        pressed = lzma and member.compress_type == zipfile.ZIP_LZMA and remembered(archive, member) <= DICTIONARY
        if member.flag_bits & 1 or not (pressed or member.compress_type in METHODS):
            raise ValueError(f"{member.filename!r} is encrypted, or not compressed by deflate")


def remembered(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> int:
    """The size of the dictionary by which LZMA has compressed a member."""
    stream = archive.fp
    if stream is None:
        raise ValueError("the archive is closed")
    stream.seek(member.header_offset + 26)
    lengths = struct.unpack("<HH", stream.read(4))
    stream.seek(member.header_offset + 30 + sum(lengths) + 5)
    return int.from_bytes(stream.read(4), "little")


def arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an npz file; ValueError as `opened`, and for a member that is no array of numbers or texts."""
    with opened(path, lzma=True) as archive:
        found = {}
        for member in archive.infolist():
            with archive.open(member) as stream:
                found[member.filename.removesuffix(".npy")] = array(stream, member.file_size)
        return found


def read_array(path: Path, limit: int = LIMIT) -> np.ndarray:
    """The array of an npy file; ValueError for anything else, and for more than `limit` bytes."""
    try:
        with path.open("rb") as stream:
            return array(stream, path.stat().st_size, limit)
    except FAULTS as error:
        raise ValueError(f"{path} is not an array of NumPy: {told(error)}") from error


def array(stream: Any, size: int, limit: int = LIMIT) -> np.ndarray:
    """The array in the npy format of a stream of `size` bytes, which the header must promise exactly."""
    version = np.lib.format.read_magic(stream)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"version {version!r} of the format: expected (1, 0) or (2, 0)")
    with warnings.catch_warnings():  # of a header that Python 2 wrote
        warnings.simplefilter("ignore")
        shape, by_columns, dtype = readers[version](stream)
    if dtype.hasobject or dtype.names or not dtype.itemsize:
        raise ValueError(f"it holds {dtype}: expected numbers or texts")
    wanted, there = math.prod(shape) * dtype.itemsize, size - stream.tell()
    if wanted > limit or wanted != there or any(n < 0 for n in shape):
        raise ValueError(
            f"shape {shape!r} of {dtype} takes {wanted:,} bytes: {there:,} are there, at most {limit:,} read"
        )
    data = bytearray(wanted)
    view, filled = memoryview(data), 0
    while got := stream.readinto(view[filled : filled + PIECE]):
        filled += got
    if filled < wanted:
        raise ValueError(f"it ends after {filled:,} of {wanted:,} bytes")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if by_columns else "C")


def told(error: BaseException) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split())[:200] or type(error).__name__
