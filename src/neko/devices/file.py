"""Devices as JSON files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from neko import __version__
from neko.arguments import as_path
from neko.devices.base import DEVICES, Device
from neko.devices.imperfections import IMPERFECTIONS
from neko.devices.storage import STORAGES, Storage
from neko.io import files, plain
from neko.registry import Registry

FORMAT = 1
"""Version of the layout; a reader refuses higher ones."""
MARK = "neko device"
"""Key of the version."""


def save(path: str | Path, device: Device | Storage, *, about: Mapping[str, Any] | None = None) -> Path:
    """Write a device, whole or not at all.

    Parameters
    ----------
    path : str or Path
        Ends in ``.json``, by which the file is known where a device is asked for.
    device : Device or Storage
        Of the library: a device with its imperfections, or one with how it stores a weight.
    about : dict, optional
        What else is known of it, numbers and texts, such as how it was fitted.

    Raises
    ------
    ValueError
        For another suffix.
    TypeError
        For a device, or an imperfection, that is not of the library: its code would not be in the file.
    OSError
        If the folder cannot be written; an existing file is unchanged.
    """
    path = as_path("path", path)
    if path.suffix.lower() != ".json":
        raise ValueError(f"device file {str(path)!r}: expected a path that ends in .json")
    registry: Registry[Any] = STORAGES if isinstance(device, Storage) else DEVICES
    content = {MARK: FORMAT, "neko": __version__, **described(registry, device), "about": dict(about or {})}
    return files.write(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())


def load(path: str | Path) -> Device | Storage:
    """The device, or the storage, of a file that `save` wrote.

    Raises
    ------
    ValueError
        For a file that is not one, or whose constants are not those of a device; the message says what is wrong.
    FileNotFoundError
        If there is no such file.
    """
    path = as_path("path", path)
    if not path.is_file():
        raise FileNotFoundError(f"no device file {str(path)!r}: expected a file that `neko device fit` wrote")
    content = plain.read_json(path)
    if not isinstance(content, dict) or MARK not in content:
        raise ValueError(f"{path} is JSON, but no device of neko: it has no {MARK!r}")
    if not isinstance(content[MARK], int) or content[MARK] > FORMAT:
        raise ValueError(
            f"{path} has layout {content[MARK]!r}, of neko {content.get('neko')!r}: this is neko {__version__}, which "
            f"reads up to {FORMAT}; update neko"
        )
    try:
        device: Device | Storage = rebuilt(STORAGES if STORAGES.kind in content else DEVICES, content)
        return device
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        raise ValueError(f"{path} was altered, or is of another neko: {error}") from error


def described(registry: Registry[Any], thing: Any) -> dict[str, Any]:
    """The name of an object's class in a registry, and its fields."""
    name = next((name for name in registry if registry[name] is type(thing)), None)
    if name is None:
        raise TypeError(f"{thing!r}: expected one of the library's, {[*registry]!r}; another is kept as its own code")
    values = {field.name: getattr(thing, field.name) for field in fields(thing)}
    if "imperfections" in values:
        values["imperfections"] = [described(IMPERFECTIONS, own) for own in values["imperfections"]]
    if "device" in values:
        values["device"] = described(DEVICES, values["device"])
    return {registry.kind: name, "constants": values}


def rebuilt(registry: Registry[Any], content: Any) -> Any:
    """The object that `described` describes."""
    if not isinstance(content, dict) or not isinstance(content.get("constants"), dict):
        raise ValueError(f"{content!r}: expected {registry.kind!r} and its 'constants'")
    kind, values = registry.get(content.get(registry.kind)), dict(content["constants"])
    if unknown := values.keys() - {field.name for field in fields(kind)}:
        raise ValueError(f"{kind.__name__} has no {sorted(unknown)!r}")
    if "imperfections" in values:
        values["imperfections"] = [rebuilt(IMPERFECTIONS, own) for own in values["imperfections"]]
    if "device" in values:
        values["device"] = rebuilt(DEVICES, values["device"])
    return kind(**values)
