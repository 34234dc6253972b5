"""What something is, by its options, and how that of a saved state differs from that of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from neko import arguments
from neko.errors import CheckpointError
from neko.identity.description import TYPE, Description, describe, describe_module, in_library

NOT_PART = ("self", "model", "gradient", "jit", "starts")
"""Arguments of constructors that are told elsewhere, or that no number depends on. Where a chain began is behind it."""
LONGEST = 160
"""Characters of a value in a message."""
TOLD = 4
"""Differences that a message names."""


def options(thing: Any, **elsewhere: Any) -> dict[str, Any]:
    """The options that something was made with: its attributes by the names of its constructor's arguments, but for
    those that are given here, because they are kept under another name."""
    known = [name for name in arguments.of_constructor(type(thing)) if name not in NOT_PART and name not in elsewhere]
    names = [name for name in known if hasattr(thing, name)]
    return {**options_of(thing, names), **describe(elsewhere)}


def options_of(thing: Any, names: Iterable[str]) -> dict[str, Any]:
    """These attributes of something by value, with its class where that is not a library's."""
    kind = Description().of_class(type(thing))
    own = {} if in_library(type(thing)) else {"class": kind}
    return {**own, **describe({name: getattr(thing, name) for name in names})}


def differences(then: Any, now: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two descriptions differ: a path, and what either has there."""
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

    A name stands for the path itself, for all below it, and for paths that end in it: ``'tau_m'`` for
    ``'model.cells.0.tau_m'``.

    Raises
    ------
    CheckpointError
        For a difference that is not named; the message has both values.
    ValueError
        For a name of `changed` that stands for nothing.
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
    """Names of what is changed on purpose; TypeError for anything else."""
    found = tuple(arguments.as_list(argument, names, "('learning_rate',)"))
    for name in found:
        if not isinstance(name, str) or not name:
            raise TypeError(f"{argument}={names!r}: expected names, for example ('learning_rate',)")
    return found


def covers(name: str, path: str) -> bool:
    """Whether a name stands for a path."""
    return f".{name}." in f".{path}."


def paths_of(description: Any, path: str = "") -> Iterator[str]:
    """The path of every part of a description."""
    if isinstance(description, list):
        description = dict(enumerate(description))
    yield path
    for name, part in description.items() if isinstance(description, dict) else ():
        yield from paths_of(part, f"{path}.{name}" if path else str(name))


def shown(value: Any) -> str:
    """A part of a description for a message."""
    told = rendered(value)
    return told if len(told) <= LONGEST else f"{told[:LONGEST]}…"


def rendered(value: Any) -> str:
    """A description as it would be written."""
    if isinstance(value, dict) and TYPE in value:
        inner = ", ".join(f"{name}={rendered(part)}" for name, part in value.items() if name != TYPE)
        return f"{value[TYPE]}({inner})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name!r}: {rendered(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(rendered(part) for part in value) + "]"
    return repr(value)


__all__ = [
    "check_names",
    "compare",
    "describe",
    "describe_module",
    "differences",
    "options",
    "options_of",
    "shown",
]
