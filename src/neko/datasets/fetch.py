"""Find data files, or download them once."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pooch
from filelock import FileLock
from requests import RequestException, Response

from neko.io import archives

TIMEOUT = 30.0
"""Timeout of a server in seconds."""
ATTEMPTS = 3
"""Number of rounds over the sources of a file."""
PAUSE = 1.0
"""Seconds before the second round; doubled before the third."""
CHUNK = 8192
"""Bytes that are written to disk at once."""


class DataFile(NamedTuple):
    """A file that a data set is read from.

    Attributes
    ----------
    name
        Path under a data folder, for example ``mnist/train-images-idx3-ubyte.gz``.
    checksums
        Checksums of the accepted contents, each as ``algorithm:digest``: ``sha256:…``; ``git-blob:…`` for git's
        name of a file (SHA-1 over ``b"blob <size>\\0"`` and the content); ``arrays:…`` for the arrays of an npz file,
        see `arrays_digest`; or ``zip:whole`` for any archive whose members have the checksums that it states.
    urls
        Addresses of the file; the first that delivers it is used.
    size
        Size of the download in bytes, if known.
    made
        Of an npz file that no server has: makes its arrays, from other files.
    """

    name: str
    checksums: tuple[str, ...]
    urls: tuple[str, ...]
    size: int | None = None
    made: Callable[[], Mapping[str, np.ndarray]] | None = None

    def is_right(self, path: Path) -> bool:
        """Whether the file at `path` has one of the checksums."""
        return any(digest(path, checksum.partition(":")[0]) == checksum for checksum in self.checksums)


class SourceError(OSError):
    """A source failed; `final` if retrying is useless."""

    def __init__(self, fault: object, *, final: bool) -> None:
        super().__init__(str(fault))
        self.final = final


def digest(path: Path, algorithm: str) -> str:
    """``algorithm:hexadecimal digest`` of a file."""
    if algorithm in CONTENTS:
        try:
            return f"{algorithm}:{CONTENTS[algorithm](path)}"
        except (OSError, ValueError) as error:
            return f"{algorithm}:unreadable ({error})"
    if algorithm == "git-blob":
        state = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    else:
        state = hashlib.new(algorithm)
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            state.update(block)
    return f"{algorithm}:{state.hexdigest()}"


def arrays_digest(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over name, dtype, shape and entries of each array, by name: of the content, however it is compressed."""
    state = hashlib.sha256()
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        state.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        state.update(array.tobytes())
    return state.hexdigest()


def npz_digest(path: Path) -> str:
    return arrays_digest(archives.arrays(path))


def zip_state(path: Path) -> str:
    with archives.opened(path) as archive:
        damaged = archive.testzip()
    return f"damaged at {damaged}" if damaged else "whole"


CONTENTS: dict[str, Callable[[Path], str]] = {"arrays": npz_digest, "zip": zip_state}
"""Checksums of what a file holds, in whatever form it is stored."""


def data_folder() -> Path | None:
    """The folder ``NEKO_DATA``, if it is set."""
    root = os.environ.get("NEKO_DATA")
    return Path(root) if root else None


def cache_folder() -> Path:
    """The cache: ``NEKO_CACHE``, or the system's cache folder."""
    return Path(os.environ.get("NEKO_CACHE") or pooch.os_cache("neko"))


def place(file: DataFile) -> str:
    """``"NEKO_DATA"``, ``"cache"`` or ``"not here"``, by file name without checksum."""
    root = data_folder()
    if root and (root / file.name).is_file():
        return "NEKO_DATA"
    return "cache" if (cache_folder() / file.name).is_file() else "not here"


def find(file: DataFile) -> Path:
    """Path of a data file, which is downloaded if necessary.

    It is searched under the folder ``NEKO_DATA``, then in the cache, and is downloaded or made into the cache if it is
    in neither. Its checksum must be right.

    A download is written to a file that ends in ``.part``, which is renamed when it is complete and right. An
    interrupted download is continued by a Range request: in the next round over the sources, in a later call or by
    another process. If the checksum is then wrong, for example after a change at the server, it starts again.
    Concurrent processes wait for the first one.

    Raises
    ------
    ValueError
        If the file found under ``NEKO_DATA`` has another checksum.
    OSError
        If every source failed, with the reason of each; if what was made of them is not right; or if the cache cannot
        be written.
    """
    root = data_folder()
    if root and (root / file.name).is_file():
        path = root / file.name
        if not file.is_right(path):
            found = digest(path, file.checksums[0].partition(":")[0])
            raise ValueError(f"{path} has {found!r}: expected {file.checksums!r}; delete it or fetch it again")
        return path
    target = cache_folder() / file.name
    if target.is_file() and file.is_right(target):
        return target
    arrays = None if file.made is None else made(file, file.made)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{target}.lock"):
            if target.is_file() and file.is_right(target):  # by another process, while this one waited
                return target
            if arrays is not None:
                return keep(arrays, target)
            faults = download(file, target)
    except OSError as error:
        raise OSError(
            f"data file {file.name!r} cannot be kept in {target.parent} ({error}); make room there, or set NEKO_CACHE "
            "to a folder that can be written"
        ) from error
    if faults is not None:
        raise OSError(
            f"data file {file.name!r} is not under NEKO_DATA={str(root) if root else None!r} nor in {cache_folder()}, "
            f"and no download worked ({'; '.join(f'{url}: {fault}' for url, fault in faults.items())}); set NEKO_DATA "
            "to a folder that holds it, or try again with a network"
        )
    return target


def arrays_of(file: DataFile) -> dict[str, np.ndarray]:
    """The arrays of an npz file; errors as `find`."""
    return archives.arrays(find(file))


def repository(name: str, commit: str) -> DataFile:
    """The archive of a GitHub repository at a commit."""
    stem, host = f"{name.rpartition('/')[2]}-{commit}", f"{name}/archive/{commit}.zip"
    urls = (f"https://github.com/{host}", f"https://codeload.github.com/{name}/zip/{commit}")
    return DataFile(f"archives/{stem}.zip", ("zip:whole",), urls)


def made(file: DataFile, make: Callable[[], Mapping[str, np.ndarray]]) -> Mapping[str, np.ndarray]:
    """The arrays of a file that is made from others; OSError unless they have its checksum."""
    try:
        arrays = make()
    except ValueError as error:
        raise OSError(f"data file {file.name!r} cannot be made: {error}; delete that, and it is fetched") from error
    found = f"arrays:{arrays_digest(arrays)}"
    if found not in file.checksums:
        raise OSError(
            f"data file {file.name!r} was made with {found!r}: expected {file.checksums!r}; what it is made of has "
            "changed at its source, or this version of neko reads it wrongly"
        )
    return arrays


def keep(arrays: Mapping[str, Any], target: Path) -> Path:
    """Write the arrays to `target`, whole or not at all."""
    part = target.with_name(f"{target.name}.part")
    with part.open("wb") as stream:
        np.savez_compressed(stream, **arrays)
    return part.replace(target)


def download(file: DataFile, target: Path) -> dict[str, str] | None:
    """Download the file to `target` and return None, or the failure of each source if all of them fail."""
    part = target.with_name(f"{target.name}.part")
    if part.is_file() and file.is_right(part):  # complete, but its process ended before the renaming
        part.replace(target)
        return None
    faults: dict[str, str] = {}
    sources = list(file.urls)
    for attempt in range(ATTEMPTS):
        if attempt and sources:
            time.sleep(PAUSE * 2 ** (attempt - 1))
        for url in tuple(sources):
            pooch.get_logger().info("Downloading %s to %s", url, target)
            try:
                receive(file, url, part)
            except SourceError as error:
                faults[url] = str(error)
                if error.final:
                    sources.remove(url)
            else:
                part.replace(target)
                return None
    return faults


def receive(file: DataFile, url: str, part: Path) -> None:
    """Complete `part`; SourceError if it is incomplete or wrong afterwards."""
    try:
        resumed = transfer(url, part)
        if file.is_right(part):
            return
        size = part.stat().st_size
        if file.size is not None and size < file.size:
            raise SourceError(f"broke off after {size} of {file.size} bytes", final=False)
        part.unlink()
        fault = "changed since the download began" if resumed else "wrong checksum"
        raise SourceError(f"{fault}: {size} bytes that are not {file.checksums!r}", final=not resumed)
    finally:
        if part.is_file() and not part.stat().st_size:
            part.unlink()


def cause(error: RequestException) -> object:
    """The root cause of a failed request, without retries and pools."""
    inner = error.args[0] if error.args else error
    return getattr(inner, "reason", None) or error


def transfer(url: str, part: Path) -> bool:
    """Append the rest of the file at `url` to `part`; whether a partial download was continued."""
    with part.open("ab") as stream, ExitStack() as answers:
        resumed = stream.tell() > 0

        def begin(response: Response, **_: Any) -> None:
            nonlocal resumed
            answers.callback(response.close)
            # Only 206 brings the rest; 200 is the whole file, and 416 says that it has become shorter.
            if response.status_code in (200, 416):
                stream.truncate(0)
                resumed = False

        headers = {"Accept-Encoding": "identity"}
        if resumed:
            headers["Range"] = f"bytes={stream.tell()}-"
        get = pooch.HTTPDownloader(timeout=TIMEOUT, chunk_size=CHUNK, headers=headers, hooks={"response": begin})
        try:
            get(url, stream, None)
        except RequestException as error:
            status = 0 if error.response is None else error.response.status_code
            raise SourceError(cause(error), final=400 <= status < 500 and status not in (408, 416, 429)) from error
    return resumed
