"""The registry of presets: devices with the constants of published measurements or models."""

from __future__ import annotations

from collections.abc import Callable

from neko.devices.base import Device
from neko.registry import Registry

PRESETS: Registry[Callable[..., Device]] = Registry("preset", "neko.devices.presets", required=("source", "trust"))
"""Functions that make a device, with options that replace its constants; each with its source, and how far to trust
it."""
