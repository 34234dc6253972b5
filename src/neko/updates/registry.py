"""The updates of neko itself, by name."""

from __future__ import annotations

from typing import Any

from neko.backend import OPTIMIZERS
from neko.registry import Registry

UPDATES: Registry[Any] = Registry("optimizer", "neko.updates", other=f"the framework's own, of {[*OPTIMIZERS]}")


def names() -> list[str]:
    """All names of optimizers: those of the frameworks, and neko's own."""
    return sorted([*OPTIMIZERS, *UPDATES])
