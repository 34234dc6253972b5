"""The options of an object for its `repr`: those that differ from the default."""

from __future__ import annotations

from typing import Any

from neko.arguments import of_constructor, plain

LONGEST = 60
"""Largest number of characters of a shown value."""


def options(thing: Any, **instead: Any) -> list[str]:
    """``name=value`` of every keyword-only option of the object's classes that differs from its default.

    Options are read from attributes of the same name; `instead` gives values shown in place of these.
    """
    found: dict[str, Any] = {}
    for name, parameter in of_constructor(type(thing)).items():
        if parameter.kind is parameter.KEYWORD_ONLY and hasattr(thing, name):
            value, default = instead.get(name, getattr(thing, name)), parameter.default
            if value is not default and not (type(value) is type(default) and same(value, default)):
                found[name] = value
    return [f"{name}={short(value)}" for name, value in found.items()]


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal; False where the comparison fails."""
    try:
        return bool(a == b)
    except (TypeError, ValueError):
        return False


def short(value: Any) -> str:
    """A value in a few characters; an array by its shape."""
    shape = getattr(value, "shape", None)
    if shape:
        return f"<array {tuple(shape)!r}>"
    value = plain(value)
    if isinstance(value, list | tuple | dict) and len(repr(value)) > LONGEST:
        return f"<{type(value).__name__} of {len(value)}>"
    text = " ".join(repr(value).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
