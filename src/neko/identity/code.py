"""The parts of a function or class: bytecode, defaults, closure, and the global names it reads."""

from __future__ import annotations

import dataclasses
import dis
import types
from typing import Any

GENERATED = ("__init__", "__repr__", "__eq__", "__hash__", "__setattr__", "__delattr__", "__replace__")
"""Methods that `dataclasses` generates."""


def words(code: types.CodeType) -> list[Any]:
    """A code object by value: instructions, names and constants, without file and line."""
    constants = [words(c) if isinstance(c, types.CodeType) else constant(c) for c in code.co_consts]
    return [code.co_code.hex(), list(code.co_names), list(code.co_varnames), list(code.co_freevars), constants]


def sayings(code: types.CodeType) -> list[Any]:
    """The names and constants of a code object, which are equal in most versions of Python."""
    return [list(code.co_names), [constant(c) for c in code.co_consts if not isinstance(c, types.CodeType)]]


def constant(value: Any) -> str:
    """A constant as a string; the entries of a set are sorted."""
    if isinstance(value, frozenset):
        return f"{sorted(constant(part) for part in value)}"
    if isinstance(value, tuple):
        return f"({', '.join(constant(part) for part in value)})"
    return repr(value)


def nested(code: types.CodeType) -> list[types.CodeType]:
    """The code and that of all functions in it."""
    inner = [c for c in code.co_consts if isinstance(c, types.CodeType)]
    return [code, *(part for c in inner for part in nested(c))]


def written(code: types.CodeType) -> set[str]:
    """Outer variables that the code assigns to: they are state, not part of its identity."""
    kinds = ("STORE_GLOBAL", "STORE_DEREF", "DELETE_GLOBAL")
    return {str(i.argval) for part in nested(code) for i in dis.get_instructions(part) if i.opname in kinds}


def globals_of(f: types.FunctionType) -> dict[str, Any]:
    """The global variables that a function reads, except modules."""
    names = {name for part in nested(f.__code__) for name in part.co_names} - written(f.__code__)
    found = {name: f.__globals__[name] for name in sorted(names) if name in f.__globals__}
    return {name: value for name, value in found.items() if not isinstance(value, types.ModuleType)}


def closure(f: types.FunctionType) -> dict[str, Any]:
    found = {}
    for name, cell in zip(f.__code__.co_freevars, f.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return {name: value for name, value in found.items() if name not in written(f.__code__)}


def defaults(f: types.FunctionType) -> dict[str, Any]:
    given = f.__defaults__ or ()
    count = f.__code__.co_argcount
    names = f.__code__.co_varnames[count - len(given) : count]
    return {**dict(zip(names, given, strict=True)), **(f.__kwdefaults__ or {})}


def attributes(f: types.FunctionType) -> dict[str, Any]:
    """Attributes set on a function, except those of the form ``__name__``."""
    return {name: value for name, value in vars(f).items() if not name.startswith("__")}


def members(kind: type) -> dict[str, Any]:
    """The functions and constants that a class itself defines."""
    found: dict[str, Any] = {}
    for name, member in vars(kind).items():
        inner = getattr(member, "__func__", getattr(member, "fget", getattr(member, "func", member)))
        if isinstance(inner, types.FunctionType):
            generated = dataclasses.is_dataclass(kind) and name in GENERATED
            if not (generated and inner.__code__.co_filename == "<string>"):
                found[name] = inner
        elif not name.startswith("_") and isinstance(member, bool | int | float | str | tuple):
            found[name] = member
    return found
