"""A device that is not there is refused in the same words on every backend."""

from __future__ import annotations

from typing import Any


def refused(backend: str, version: str, device: Any, there: list[str], install: str) -> ValueError:
    """The error for a device, with those that there are and what to install for others."""
    return ValueError(f"device={device!r}: {backend} {version} has {', '.join(map(repr, there))} here; {install}")
