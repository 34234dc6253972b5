"""The identity of an object by its options, and how the identity of a saved state differs from that of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from neko import arguments
from neko.errors import CheckpointError
from neko.identity.description import TYPE, Description, describe, in_library

NOT_PART = ("self", "model", "gradient", "jit", "starts")
"""Constructor arguments described elsewhere, or without influence on later results (such as where a chain began)."""
LONGEST = 160
"""Characters of a value in a message."""
TOLD = 4
"""Differences that a message lists."""


def options(thing: Any, **elsewhere: Any) -> dict[str, Any]:
    """The options of an object: its attributes by the names of its constructor's arguments, and those given in
    `elsewhere`, which are kept under another name."""
    known = [name for name in arguments.of_constructor(type(thing)) if name not in NOT_PART and name not in elsewhere]
    names = [name for name in known if hasattr(thing, name)]
    return {**options_of(thing, names), **describe(elsewhere)}


def options_of(thing: Any, names: Iterable[str]) -> dict[str, Any]:
    """These attributes by value, with the class of the object unless it is a library's."""
    kind = Description().of_class(type(thing))
    own = {} if in_library(type(thing)) else {"class": kind}
    return {**own, **describe({name: getattr(thing, name) for name in names})}


def differences(then: Any, now: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two descriptions differ: the path, and both values."""
    if isinstance(then, dict) and isinstance(now, dict) and then.get(TYPE) == now.get(TYPE):
        for name in {**now, **then}:
            yield from differences(then.get(name), now.get(name), f"{path}.{name}" if path else name)
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for i, (a, b) in enumerate(zip(then, now, strict=True)):
            yield from differences(a, b, f"{path}.{i}")
    elif not (then == now or (then != then and now != now)):
        yield path, then, now


def compare(then: Any, now: Any, changed: Iterable[str], *, this: str) -> list[str]:
    """The paths at which two descriptions differ, all of which must be named in `changed`.

    A name covers the path itself, all paths below it, and paths that end in it: ``'tau_m'`` covers
    ``'model.cells.0.tau_m'``.

    Raises
    ------
    CheckpointError
        For a difference that is not named; the message gives both values.
    ValueError
        For a name in `changed` that covers no path.
    """
    names = list(changed)
    paths = list(paths_of(then)) + list(paths_of(now))
    for name in names:
        if not any(covers(name, path) for path in paths):
            raise ValueError(f"changed={name!r}: expected names such as 'learning_rate' or 'model.cells.0.tau_m'")
    found = list(differences(then, now))
    refused = [(path, a, b) for path, a, b in found if not any(covers(name, path) for name in names)]
    if refused:
        told = "; ".join(f"{path}={shown(a)}: {this} has {shown(b)}" for path, a, b in refused[:TOLD])
        more = f"; and {len(refused) - TOLD} more" if len(refused) > TOLD else ""
        raise CheckpointError(f"it was written with {told}{more}")
    return [path for path, _, _ in found]


def check_names(argument: str, names: Any) -> tuple[str, ...]:
    """The names of intended changes as a tuple; TypeError for anything else."""
    found = tuple(arguments.as_list(argument, names, "('learning_rate',)"))
    for name in found:
        if not isinstance(name, str) or not name:
            raise TypeError(f"{argument}={names!r}: expected names, for example ('learning_rate',)")
    return found


def covers(name: str, path: str) -> bool:
    return f".{name}." in f".{path}."


def paths_of(description: Any, path: str = "") -> Iterator[str]:
    """The path of every part of a description."""
    if isinstance(description, list):
        description = dict(enumerate(description))
    yield path
    for name, part in description.items() if isinstance(description, dict) else ():
        yield from paths_of(part, f"{path}.{name}" if path else str(name))


def shown(value: Any) -> str:
    """A part of a description, shortened for a message."""
    told = rendered(value)
    return told if len(told) <= LONGEST else f"{told[:LONGEST]}…"


def rendered(value: Any) -> str:
    if isinstance(value, dict) and TYPE in value:
        inner = ", ".join(f"{name}={rendered(part)}" for name, part in value.items() if name != TYPE)
        return f"{value[TYPE]}({inner})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name!r}: {rendered(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(rendered(part) for part in value) + "]"
    return repr(value)
