"""The updates that are neko's own, by name."""

from __future__ import annotations

from typing import Any

from neko.backend import OPTIMIZERS
from neko.registry import Registry

UPDATES: Registry[Any] = Registry("optimizer", "neko.updates", other=f"the framework's own, of {[*OPTIMIZERS]}")


def names() -> list[str]:
    """All names that an optimizer may have: those of the frameworks, and neko's own."""
    return sorted([*OPTIMIZERS, *UPDATES])
