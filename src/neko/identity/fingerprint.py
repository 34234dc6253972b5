"""Fingerprints of arrays, and of data sets independently of the order and size of their batches."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from neko import containers, tree

SIZE = 16
"""Bytes of a digest."""
PORTION = 2**26
"""Bytes of an array that are read at once, so that memory-mapped files of any size are possible."""
SHORT = 8
"""Entries up to which a vector is described by its values."""


def digest(content: bytes) -> str:
    """BLAKE2b of bytes, as hexadecimal digits."""
    return hashlib.blake2b(content, digest_size=SIZE).hexdigest()


def of_array(a: Any) -> Any:
    """The values of a scalar or short vector, else shape, dtype and digest; TypeError if it does not hold numbers."""
    shape = tuple(int(n) for n in a.shape)
    if len(shape) <= 1 and sum(shape) <= SHORT:
        return containers.as_numpy("array", a).tolist()
    found = hashlib.blake2b(digest_size=SIZE)
    dtype = None
    width = 8 * int(np.prod(shape[1:], dtype=np.int64))
    rows = max(1, PORTION // max(1, width))
    for begin in range(0, shape[0] if shape else 1, rows):
        part = containers.as_numpy("array", a[begin : begin + rows])
        dtype = part.dtype
        found.update(np.ascontiguousarray(part).tobytes())
    return f"array {shape!r} of {dtype}, digest {found.hexdigest()}"


class DataSet(NamedTuple):
    """The examples in any order and in batches of any size: their number, and the sum of their digests."""

    examples: int
    digest: str

    def __str__(self) -> str:
        return f"{self.examples} examples (digest {self.digest[:8]})"


def of_examples(batches: Iterable[tuple[Any, Any, Any]]) -> DataSet:
    """The fingerprint of the examples of batches (x, y, mask) of NumPy arrays or trees of them.

    Masked frames do not count, so that padding to another length changes nothing.
    """
    count, total = 0, 0
    for x, y, mask in batches:
        parts = [*tree.leaves(x), y]
        for i in range(len(y)):
            words = hashlib.blake2b(digest_size=SIZE)
            valid = None if mask is None else mask[i] > 0
            for part in parts:
                entry = part[i]
                if valid is not None and entry.shape[:1] == valid.shape:
                    entry = entry[valid]
                words.update(f"{entry.shape}".encode())
                words.update(np.ascontiguousarray(entry).tobytes())
            if valid is not None and not valid.all():
                places = np.flatnonzero(valid)
                if len(places) and places[-1] != len(places) - 1:
                    words.update(places.tobytes())  # masked frames lie between valid ones
            total += int.from_bytes(words.digest(), "big")
            count += 1
    return DataSet(count, f"{total % 2 ** (8 * SIZE):0{2 * SIZE}x}")
