"""Runs a module and then restores all of its state beside parameters and buffers."""

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
"""Objects of these packages, and of the standard library, are not entered unless an adaptor asks for it."""

Undo = Callable[[], None]


@contextlib.contextmanager
def untouched(module: Any, remember: Callable[[Any], Undo | None], enters: Callable[[Any], bool]) -> Iterator[None]:
    """Restores at the end all that can be reached from `module`: attributes reassigned or changed in place, lists and
    dicts, arrays, its own random generators, objects held by its hooks, and the global random generators.

    `remember` returns the function that restores an array (or another object of the framework), None for other objects;
    `enters` tells whether an object of the framework has attributes to restore, as a layer has.
    """
    drawn = generators.state()
    undo = Reached(remember, enters).visit(module)
    try:
        yield
    finally:
        for restore in undo:
            restore()
        generators.restore(drawn)


class Reached:
    """All objects reached from a root, each once, and the functions that restore them."""

    def __init__(self, remember: Callable[[Any], Undo | None], enters: Callable[[Any], bool]) -> None:
        self.remember = remember
        self.enters = enters
        # References keep the objects alive, so that no id is used twice.
        self.seen: dict[int, Any] = {}
        self.undo: list[Undo] = []

    def visit(self, root: Any) -> list[Undo]:
        """The functions that restore everything."""
        waiting = [root]
        while waiting:
            value = waiting.pop()
            if id(value) in self.seen:
                continue
            self.seen[id(value)] = value
            waiting.extend(self.members(value))
        return self.undo

    def members(self, value: Any) -> list[Any]:
        """The objects in a value; how to restore it is noted."""
        found = self.remember(value) or restore_array(value) or restore_generator(value)
        if found is not None:
            self.undo.append(found)
            return []
        if isinstance(value, list | dict | set | collections.deque):
            self.undo.append(restore_container(value))
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
            self.undo.append(restore_attributes(value))
            return [*vars(value).values()]
        return []


def foreign(module: str | None) -> bool:
    """Whether a module's name is of a framework or of the standard library."""
    package = (module or "").partition(".")[0]
    return package in FRAMEWORKS or (package in sys.stdlib_module_names and package != "__main__")


def closure(function: Any) -> list[Any]:
    """The objects in a function's closure."""
    found = []
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):  # of an empty cell
            found.append(cell.cell_contents)
    return found


def restore_array(value: Any) -> Undo | None:
    """Restores the entries of a NumPy array."""
    if not isinstance(value, np.ndarray) or not value.flags.writeable:
        return None
    saved = value.copy()
    return lambda: np.copyto(value, saved)


def restore_generator(value: Any) -> Undo | None:
    """Restores the state of a random generator of Python or NumPy."""
    if isinstance(value, random.Random):
        return functools.partial(value.setstate, value.getstate())
    if isinstance(value, np.random.RandomState):
        return functools.partial(value.set_state, value.get_state())
    if isinstance(value, np.random.Generator):
        return functools.partial(setattr, value.bit_generator, "state", value.bit_generator.state)
    return None


def restore_container(value: Any) -> Undo:
    """Restores the entries of a list, dict, set or deque, where they have changed."""
    saved = dict(value) if isinstance(value, dict) else list(value)

    def undo() -> None:
        now = dict(value) if isinstance(value, dict) else list(value)
        if same(now, saved):
            return
        value.clear()
        (value.extend if isinstance(value, list | collections.deque) else value.update)(saved)

    return undo


def restore_attributes(value: Any) -> Undo:
    """Restores the attributes of an object, without its own ``__setattr__``."""
    attributes = vars(value)
    saved = dict(attributes)

    def undo() -> None:
        if not same(attributes, saved):
            attributes.clear()
            attributes.update(saved)

    return undo


def same(now: Any, saved: Any) -> bool:
    """Whether both hold the identical objects, under the same names."""
    if len(now) != len(saved):
        return False
    if isinstance(saved, dict):
        return all(name in now and now[name] is entry for name, entry in saved.items())
    return all(a is b for a, b in zip(now, saved, strict=True))


def transient(module: Any) -> set[str]:
    """The names of the buffers of a `torch.nn.Module` that are no part of its state."""
    owners = module.named_modules()
    return {f"{path}.{name}".lstrip(".") for path, owner in owners for name in owner._non_persistent_buffers_set}
