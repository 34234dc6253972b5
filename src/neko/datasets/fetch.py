"""Find a data file, or download it once."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pooch

TIMEOUT = 30.0
"""Seconds without an answer after which a server is given up."""


def cache_folder() -> Path:
    """The user's cache: ``NEKO_CACHE``, or the system's place for it."""
    return Path(os.environ.get("NEKO_CACHE") or pooch.os_cache("neko"))


def find(name: str, sha256: str, urls: tuple[str, ...]) -> Path:
    """Path of the data file `name` (for example ``mnist/train-images-idx3-ubyte.gz``).

    It is looked for under the folder ``NEKO_DATA``, then in the user's cache, and is downloaded into the
    cache if it is in neither. A file counts only if its SHA-256 is right.

    Raises
    ------
    ValueError
        If a file found under ``NEKO_DATA`` has another checksum.
    OSError
        If no source could deliver the file.
    """
    root = os.environ.get("NEKO_DATA")
    if root and (Path(root) / name).is_file():
        path = Path(root) / name
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != sha256:
            raise ValueError(f"{path} has sha256 {found!r}: expected {sha256!r}; delete it or fetch it again")
        return path
    failures = []
    for url in urls:
        try:
            # pooch writes to a temporary file, checks it, and moves it into place
            target = cache_folder() / name
            downloader = pooch.HTTPDownloader(timeout=TIMEOUT)
            return Path(
                pooch.retrieve(url, f"sha256:{sha256}", fname=target.name, path=target.parent, downloader=downloader)
            )
        except (OSError, ValueError) as error:
            failures.append(f"{url}: {error}")
    raise OSError(
        f"data file {name!r} is not under NEKO_DATA={root!r} nor in {cache_folder()}, and no download worked "
        f"({'; '.join(failures)}); set NEKO_DATA to a folder that holds it, or try again with a network"
    )
