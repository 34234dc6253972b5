"""What a backend offers of `neko.kernels`, which are built on backends and so cannot be imported by them by name."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import importlib
import importlib.util
import os
from collections.abc import Iterator
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


SWITCH = os.environ.get("NEKO_KERNELS", "on").lower()
"""Whether kernels are used: 'on' or 'off', from the environment."""


def unavailable() -> str:
    """Why no kernels can be generated here; empty if they can."""
    if SWITCH == "off":
        return "switched off by the environment variable NEKO_KERNELS"
    return "" if installed() else "Numba is not installed: pip install 'neko-learning[numba]'"


@functools.cache
def installed() -> bool:
    """Whether Numba can be imported."""
    return importlib.util.find_spec("numba") is not None


def kernels(name: str) -> ModuleType:
    """A module of `neko.kernels`."""
    return importlib.import_module(f"neko.kernels.{name}")


OFFERS: contextvars.ContextVar[dict[Any, Offer] | None] = contextvars.ContextVar("offers", default=None)
"""The offers of the step that is running, by cell: a step that runs a layer many times traces its cell once."""


@contextlib.contextmanager
def offers() -> Iterator[None]:
    """A region in which the constants of cells do not change."""
    token = OFFERS.set({} if OFFERS.get() is None else OFFERS.get())
    try:
        yield
    finally:
        OFFERS.reset(token)


PLAIN: contextvars.ContextVar[bool] = contextvars.ContextVar("plain", default=False)
"""Whether operations must be the framework's own: a kernel has one derivative, and only in reverse mode."""


@contextlib.contextmanager
def plain(wanted: bool = True) -> Iterator[None]:
    """A region in which operations are the framework's own, if `wanted`."""
    token = PLAIN.set(wanted or PLAIN.get())
    try:
        yield
    finally:
        PLAIN.reset(token)
