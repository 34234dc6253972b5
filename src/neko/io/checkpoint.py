"""Checkpoint files: arrays as safetensors, everything else as JSON in the header, no pickle."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from neko import __version__
from neko.arguments import as_path
from neko.errors import CheckpointError
from neko.io import files, plain

FORMAT = 1
"""Version of the layout; a reader refuses higher ones."""
SUFFIX = ".safetensors"
MARK = "$tensor"
"""Key in the JSON that refers to an array by name."""


def write(path: str | Path, state: dict[str, Any]) -> Path:
    """Write a state (nested dicts and lists of NumPy arrays, numbers, strings and None) atomically.

    Raises
    ------
    OSError
        If the folder cannot be written; an existing file is unchanged.
    CheckpointError
        For a state that holds any other type.
    """
    tensors: dict[str, np.ndarray] = {}
    head = {"format": FORMAT, "neko": __version__, "state": split(state, "", tensors)}
    return files.write(path, save(tensors, {"neko": json.dumps({**head, "digest": digest(head, tensors)})}))


def read(path: str | Path) -> dict[str, Any]:
    """The state that `write` wrote.

    Raises
    ------
    CheckpointError
        If the file is truncated, altered, not written by neko, or of a newer layout; the message says which.
    OSError
        If there is no such file.
    """
    path = as_path("path", path)
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is truncated or no safetensors file ({error}); delete it") from error
    if "neko" not in metadata:
        raise CheckpointError(f"{path} holds tensors but was not written by neko")
    try:
        head = plain.from_json(metadata["neko"])
        found = head.pop("digest")
        layout = head["format"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{path} was altered: its header is not what neko wrote ({error!r})") from error
    if not isinstance(layout, int) or layout > FORMAT:
        raise CheckpointError(
            f"{path} has layout {layout!r}, of neko {head.get('neko')!r}: this is neko {__version__}, which reads "
            f"up to {FORMAT}; update neko"
        )
    with expected(path):
        if found != digest(head, tensors):
            raise CheckpointError(f"{path} was altered or damaged: its SHA-256 is not the one it was written with")
        state: dict[str, Any] = join(head["state"], tensors)
        return {**state}


@contextlib.contextmanager
def expected(path: str | Path) -> Iterator[None]:
    """CheckpointError, with the path, where the parts of a state are not there or are not what was expected of them.

    A file that is whole may still be of another kind of run, or may be forged.
    """
    try:
        yield
    except CheckpointError:
        raise
    except (TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        raise CheckpointError(f"{path} holds another state than expected ({error!r})") from error


def listed(path: str | Path) -> list[Path]:
    """The checkpoints of a folder, oldest first."""
    return sorted(p for p in Path(path).glob(f"*{SUFFIX}") if not p.name.startswith("."))


def split(value: Any, path: str, tensors: dict[str, np.ndarray]) -> Any:
    """`value` as JSON; its arrays are put into `tensors` under their path."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "fiub" or value.dtype.itemsize > 8:
            raise CheckpointError(f"state {path!r} is an array of {value.dtype}: expected numbers of up to 64 bits")
        name = path
        while name in tensors or name == "__metadata__":  # reserved by safetensors
            name += "'"
        native = value.astype(value.dtype.newbyteorder("="), copy=False)
        tensors[name] = np.ascontiguousarray(native).reshape(value.shape)
        return {MARK: name}
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise CheckpointError(f"state {path!r} has keys {list(value)!r}: expected strings")
        if value.keys() == {MARK}:
            raise CheckpointError(f"state {path!r} has the one key {MARK!r}: expected another name")
        return {key: split(part, f"{path}/{key}" if path else key, tensors) for key, part in value.items()}
    if isinstance(value, list):
        return [split(part, f"{path}/{i}", tensors) for i, part in enumerate(value)]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    kind = type(value).__name__
    raise CheckpointError(f"state {path!r} is a {kind}: expected NumPy arrays, numbers, strings, lists and dicts")


def join(value: Any, tensors: dict[str, np.ndarray]) -> Any:
    """The inverse of `split`."""
    if isinstance(value, dict):
        if value.keys() == {MARK}:
            return tensors[value[MARK]]
        return {key: join(part, tensors) for key, part in value.items()}
    return [join(part, tensors) for part in value] if isinstance(value, list) else value


def digest(head: dict[str, Any], tensors: dict[str, np.ndarray]) -> str:
    """SHA-256 of the JSON and of every array with its name, dtype and shape."""
    found = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        found.update(f"{name} {array.dtype.str} {tensors[name].shape}".encode())
        found.update(array.tobytes())
    return found.hexdigest()
