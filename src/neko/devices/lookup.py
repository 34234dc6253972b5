"""Devices by name: laws, presets, files and classes of one's own."""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import Any

from neko.devices import file
from neko.devices.base import DEVICES, Device
from neko.devices.presets import PRESETS
from neko.devices.storage import Storage
from neko.registry import called, is_place


def get(name: Any) -> Any:
    """The class of a law, the function that makes a preset, the device or storage of a JSON file, or what file.py:Name
    refers to.

    Raises
    ------
    ValueError
        For an unknown name, with the known ones, or a file that is not a device's.
    FileNotFoundError, ImportError
        For a file that is not there or cannot be imported.
    """
    if isinstance(name, str) and name.lower().endswith(".json"):
        return file.load(name)
    if name in PRESETS:
        return PRESETS[name]
    if name in DEVICES or (isinstance(name, str) and is_place(name)):
        return DEVICES.get(name)
    near = difflib.get_close_matches(str(name), [*DEVICES, *PRESETS], 1)
    raise ValueError(
        f"device {name!r}: expected a law, one of {[*DEVICES]!r}, a preset, one of {[*PRESETS]!r}, a file .json, or "
        "file.py:Class" + (f"; did you mean {near[0]!r}?" if near else "")
    )


def make(text: str) -> Any:
    """The device that ``name`` or ``name(option=value, …)`` describes, with names as `get` knows them.

    Of a file that holds a `Storage` it is that.

    >>> make("soft_bounds(dg_min=2e-6)").dg_min, make("hfo2_reram(dg_min_std=0.0)").dg_min_std
    (2e-06, 0.0)

    Raises
    ------
    ValueError, TypeError, FileNotFoundError, ImportError
        As `get`, and for options that the device does not have.
    """
    name, options = called(text)
    found = get(name)
    return replace(found, **options) if isinstance(found, Device | Storage) else found(**options)
