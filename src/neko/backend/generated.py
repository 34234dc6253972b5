"""What a backend offers of `neko.kernels`, which are built on backends and so cannot be imported by them by name."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
from types import ModuleType
from typing import Any, NamedTuple


class Offer(NamedTuple):
    """A layer of a cell by generated kernels, or None and the reason why there is none."""

    layer: Any
    reason: str = ""

    @property
    def generated(self) -> bool:
        """Whether there are kernels."""
        return self.layer is not None

    def __repr__(self) -> str:
        return "Offer(generated)" if self.generated else f"Offer({self.reason!r})"


def unavailable() -> str:
    """Why no kernels can be generated here; empty if they can."""
    if os.environ.get("NEKO_KERNELS", "on").lower() in ("off", "0", "false"):
        return "switched off by the environment variable NEKO_KERNELS"
    return "" if installed() else "Numba is not installed: pip install 'neko-learning[numba]'"


@functools.cache
def installed() -> bool:
    """Whether Numba can be imported."""
    return importlib.util.find_spec("numba") is not None


def kernels(name: str) -> ModuleType:
    """A module of `neko.kernels`."""
    return importlib.import_module(f"neko.kernels.{name}")
