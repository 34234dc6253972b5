"""What a backend offers of `neko.kernels`, which are built on backends and so cannot be imported by them by name."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import importlib
import importlib.util
import os
from collections.abc import Callable, Iterator
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
"""Whether kernels are used, from the environment: 'on', 'off', or 'triton' for the experimental ones on CUDA too."""


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


def release() -> None:
    """Give back the memory that kernels keep to use again."""
    if not unavailable():
        kernels("buffers").BUFFERS.release()


KNOWN: contextvars.ContextVar[dict[Any, Any] | None] = contextvars.ContextVar("known", default=None)
"""What the step that is running has computed, by what it was computed from; None outside of a step."""


@contextlib.contextmanager
def step() -> Iterator[None]:
    """A region in which neither the constants of cells nor weights change."""
    if KNOWN.get() is not None:
        yield
        return
    with contextlib.ExitStack() as exits:
        token = KNOWN.set({step: exits})
        exits.callback(KNOWN.reset, token)
        yield


def until_the_end(region: Callable[[], contextlib.AbstractContextManager[Any]]) -> None:
    """Enter a region, once in a step, and leave it at the step's end; nothing outside of a step."""
    known = KNOWN.get()
    if known is not None and region not in known:
        known[region] = known[step].enter_context(region())


class Same:
    """An array as a part of a key: the same object, which is kept so that no other can take its place."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __hash__(self) -> int:
        return id(self.array)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and other.array is self.array


def once(key: Any, make: Callable[[], Any]) -> Any:
    """``make()``, computed once in a step for a key, which must hold all that it is computed from."""
    known = KNOWN.get()
    if known is None:
        return make()
    if key not in known:
        known[key] = make()
    return known[key]


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


DIFFERENTIATED: contextvars.ContextVar[bool] = contextvars.ContextVar("differentiated", default=False)
"""Whether a derivative is being taken of what runs."""


@contextlib.contextmanager
def derivative() -> Iterator[None]:
    """A region that is differentiated in reverse mode; within another one, operations are the framework's own."""
    with plain(DIFFERENTIATED.get()):
        token = DIFFERENTIATED.set(True)
        try:
            yield
        finally:
            DIFFERENTIATED.reset(token)


def refusal(on_host: bool, device: Any) -> str:
    """Why no layer is offered here and now; empty if one may be."""
    if PLAIN.get():
        return "kernels are differentiated once, in reverse mode"
    return unavailable() if on_host else f"kernels are generated for the CPU, and arrays are on {device}"
