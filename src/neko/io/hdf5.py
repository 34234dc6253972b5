"""Groups and arrays of an HDF5 file, read in a process of its own: the C library may crash, hang or inflate without
bound on a damaged file, which then ends that process and not this one."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from safetensors.numpy import load, save

from neko.arguments import as_path
from neko.errors import ExchangeError
from neko.io.checkpoint import join, split

LIMIT = 2**28
"""Bytes of all arrays of a file, as they are in memory: 256 MiB."""
DEPTH, COUNT, SECONDS = 16, 10_000, 60.0
"""Largest depth of groups, number of groups and arrays, and seconds of reading."""
REFUSED = 3
"""Exit code of the process where it says itself what is wrong."""
PROGRAM = "from neko.io import hdf5; hdf5.serve()"
EXAMINE = "from neko.io import hdf5; hdf5.serve(keep=False)"


def read(path: str | Path) -> dict[str, Any]:
    """The groups as dicts, the arrays as NumPy's, texts as strings and arrays of texts as lists.

    No link is followed, to another file or within this one, and nothing is loaded to decompress but HDF5's own deflate.

    Raises
    ------
    ExchangeError
        For a file that is no HDF5, is damaged, has links, more than `LIMIT` bytes, or other contents than these.
    FileNotFoundError
        If there is no such file.
    ImportError
        If h5py is not installed.
    """
    path = as_path("path", path)
    if not path.is_file():
        raise FileNotFoundError(f"no file {str(path)!r}: expected a NIR graph, such as net.nir")
    if importlib.util.find_spec("h5py") is None:
        raise ImportError("files of NIR need h5py: pip install 'neko-learning[nir]'", name="h5py")
    head, arrays = answer(PROGRAM, path, LIMIT, "a NIR graph, as other libraries write it").split(b"\n", 1)
    found: dict[str, Any] = join(json.loads(head), load(arrays))
    return found


def examine(path: Path, limit: int, expected: str) -> None:
    """Read a file to its end in a process of its own, and keep nothing; ExchangeError where `read` raises it, with
    `limit` bytes of all arrays."""
    answer(EXAMINE, path, limit, expected)


def answer(program: str, path: Path, limit: int, expected: str) -> bytes:
    """What the process writes."""
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "HDF5_PLUGIN_PRELOAD": "::",
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, "-P", "-c", program, str(path.absolute()), str(limit)]
    try:
        done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS)
    except subprocess.TimeoutExpired as error:
        raise ExchangeError(f"{path} takes longer than {SECONDS:g} s to read: it is damaged") from error
    if done.returncode == REFUSED:
        raise ExchangeError(f"{path}: {done.stderr.decode(errors='replace').splitlines()[-1]}")
    if done.returncode:
        raise ExchangeError(f"{path} is damaged, or not an HDF5 file: expected {expected}")
    return done.stdout


def serve(*, keep: bool = True) -> None:
    """The process: reads the file of its first argument with the limit of its second, and writes JSON and then arrays
    to its output, if they are to be kept."""
    import h5py

    limit = int(sys.argv[2])
    restrict(limit)
    try:
        with h5py.File(sys.argv[1], "r") as file:
            tensors: dict[str, Any] = {}
            head = json.dumps(split(Reader(limit, keep=keep).group(file, "", 0), "", tensors))
    except ExchangeError as error:
        print(error, file=sys.stderr)
        sys.exit(REFUSED)
    sys.stdout.buffer.write(head.encode() + b"\n" + save(tensors))


def restrict(limit: int = LIMIT) -> None:
    """Take no more memory than twice the limit, and leave no dump, where the system has such limits."""
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (2 * limit, 2 * limit))


class Reader:
    """Counts what it reads."""

    def __init__(self, limit: int = LIMIT, *, keep: bool = True) -> None:
        self.limit, self.keep = limit, keep
        self.bytes = self.parts = 0

    def group(self, group: Any, path: str, depth: int) -> dict[str, Any]:
        """What a group holds, by name."""
        import h5py

        found: dict[str, Any] = {}
        for name in group:
            place = f"{path}/{name}"
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ExchangeError(f"{place!r} is a link: expected a group or an array of this file")
            self.parts += 1
            if depth >= DEPTH or self.parts > COUNT:
                raise ExchangeError(f"{place!r}: expected at most {COUNT} parts in groups of depth {DEPTH}")
            part = group[name]
            inner = isinstance(part, h5py.Group)
            found[name] = self.group(part, place, depth + 1) if inner else self.array(part, place)
        return found

    def array(self, part: Any, place: str) -> Any:
        """An array, a text, or a list of texts."""
        import h5py

        if not isinstance(part, h5py.Dataset) or part.external or part.is_virtual:
            raise ExchangeError(f"{place!r} is not in this file: expected a group or an array of this file")
        text = h5py.check_string_dtype(part.dtype) is not None
        if not text and (part.dtype.kind not in "fiub" or part.dtype.itemsize > 8):
            raise ExchangeError(f"{place!r} holds {part.dtype}: expected numbers of up to 64 bits, or texts")
        self.bytes += part.nbytes
        if self.bytes > self.limit or part.shape is None:
            told = f"expected at most {self.limit} bytes in the whole file"
            raise ExchangeError(f"{place!r} has shape {part.shape!r}: {told}")
        value = part.asstr()[()] if text else part[()]
        if not self.keep:
            return [*map(repr, part.attrs.values())][:0]
        if not text:
            return value[...] if hasattr(value, "shape") else value
        return value if isinstance(value, str) else value.tolist()
