"""To run a module and leave no trace of it: what it keeps beside parameters and buffers is put back."""

from __future__ import annotations

import collections
import contextlib
import functools
import random
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from neko.io import generators

FRAMEWORKS = {"torch", "keras", "tensorflow", "jax", "jaxlib", "numpy", "neko"}
"""Objects of these packages, and of the standard library, are left alone unless an adaptor says what to do."""

Undo = Callable[[], None]


@contextlib.contextmanager
def untouched(module: Any, remember: Callable[[Any], Undo | None], enters: Callable[[Any], bool]) -> Iterator[None]:
    """What can be reached from `module` is afterwards as before: attributes reassigned or changed in place, lists and
    dicts, arrays, its own random generators, what its hooks hold, and the global random generators.

    Parameters
    ----------
    module : object
        Where to begin.
    remember : callable
        What puts an array (or another object of the framework) back; None for what is no such object.
    enters : callable
        Whether an object of the framework has attributes to look after, as a layer has.
    """
    drawn = generators.state()
    undo = Reached(remember, enters).visit(module)
    try:
        yield
    finally:
        for put_back in undo:
            put_back()
        generators.restore(drawn)


class Reached:
    """All that is reached from an object, each once, and how to put it back."""

    def __init__(self, remember: Callable[[Any], Undo | None], enters: Callable[[Any], bool]) -> None:
        self.remember = remember
        self.enters = enters
        # The objects themselves, so that no identity is used twice.
        self.seen: dict[int, Any] = {}
        self.undo: list[Undo] = []

    def visit(self, root: Any) -> list[Undo]:
        """What puts everything back."""
        waiting = [root]
        while waiting:
            value = waiting.pop()
            if id(value) in self.seen:
                continue
            self.seen[id(value)] = value
            waiting.extend(self.parts(value))
        return self.undo

    def parts(self, value: Any) -> list[Any]:
        """What a value holds; how to put it back is noted."""
        found = self.remember(value) or of_array(value) or of_generator(value)
        if found is not None:
            self.undo.append(found)
            return []
        if isinstance(value, list | dict | set | collections.deque):
            self.undo.append(of_container(value))
            return [*value.values()] if isinstance(value, dict) else [*value]
        if isinstance(value, tuple):
            return [*value]
        if isinstance(value, functools.partial):
            return [value.func, *value.args, *value.keywords.values()]
        if isinstance(value, types.MethodType):
            return [value.__self__]
        if isinstance(value, types.FunctionType):
            return [] if foreign(value.__module__) else closure(value)
        if self.enters(value) or (hasattr(value, "__dict__") and not isinstance(value, type | types.ModuleType)):
            if not self.enters(value) and foreign(type(value).__module__):
                return []
            self.undo.append(of_attributes(value))
            return [*vars(value).values()]
        return []


def foreign(module: str | None) -> bool:
    """Whether a module's name is of a framework or of the standard library."""
    package = (module or "").partition(".")[0]
    return package in FRAMEWORKS or (package in sys.stdlib_module_names and package != "__main__")


def closure(function: Any) -> list[Any]:
    """What a function holds of where it was made."""
    found = []
    for cell in function.__closure__ or ():
        # A cell may be empty still.
        with contextlib.suppress(ValueError):
            found.append(cell.cell_contents)
    return found


def of_array(value: Any) -> Undo | None:
    """Puts the entries of a NumPy array back."""
    if not isinstance(value, np.ndarray) or not value.flags.writeable:
        return None
    saved = value.copy()
    return lambda: np.copyto(value, saved)


def of_generator(value: Any) -> Undo | None:
    """Puts a random generator of Python or NumPy back to where it stood."""
    if isinstance(value, random.Random):
        return functools.partial(value.setstate, value.getstate())
    if isinstance(value, np.random.RandomState):
        return functools.partial(value.set_state, value.get_state())
    if isinstance(value, np.random.Generator):
        return functools.partial(setattr, value.bit_generator, "state", value.bit_generator.state)
    return None


def of_container(value: Any) -> Undo:
    """Puts the entries of a list, dict, set or deque back, where they are others."""
    saved = dict(value) if isinstance(value, dict) else list(value)

    def undo() -> None:
        now = dict(value) if isinstance(value, dict) else list(value)
        if same(now, saved):
            return
        value.clear()
        (value.extend if isinstance(value, list | collections.deque) else value.update)(saved)

    return undo


def of_attributes(value: Any) -> Undo:
    """Puts the attributes of an object back, past its own way of setting them."""
    attributes = vars(value)
    saved = dict(attributes)

    def undo() -> None:
        if not same(attributes, saved):
            attributes.clear()
            attributes.update(saved)

    return undo


def same(now: Any, saved: Any) -> bool:
    """Whether the very same objects are held, by the same names."""
    if len(now) != len(saved):
        return False
    if isinstance(saved, dict):
        return all(name in now and now[name] is entry for name, entry in saved.items())
    return all(a is b for a, b in zip(now, saved, strict=True))
