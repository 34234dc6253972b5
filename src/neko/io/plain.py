"""Plain values, numbers, texts, lists and mappings of them, from JSON and YAML that others have written."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from neko.io import limited

LIMIT = 2**20
"""Bytes of a file: 1 MiB."""
DEPTH, VALUES, DIGITS = 32, 20_000, 64
"""Largest depth of lists and mappings, number of values, in which an alias counts as what it stands for, and length of
an integer."""
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""That of C, where PyYAML was built with it, is ten times as fast."""
TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float", "str", "seq", "map")}
FAULTS = (yaml.YAMLError, ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError)
"""What PyYAML raises for a value that is not of its tag."""


def read_json(path: Path, limit: int = LIMIT) -> Any:
    """The value of a file; ValueError for another, a name that is there twice, and more than `limit` or `DEPTH`."""
    text = limited.text(path, limit)
    try:
        found = from_json(text)
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from error
    level, depth = [found], 0
    while level:
        level = [part for value in level for part in parts(value)]
        depth += 1
        if depth > DEPTH:
            raise ValueError(f"{path} is no JSON that is read: expected lists and mappings to a depth of {DEPTH}")
    return found


def from_json(text: str) -> Any:
    """The value of a text; ValueError for no JSON, or a name that is there twice in a mapping."""
    try:
        return json.loads(text, object_pairs_hook=once)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A mapping of pairs; ValueError if a name is there twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for name in found if sum(name == other for other, _ in pairs) > 1)
        raise ValueError(f"{twice!r} is there twice: expected it once")
    return found


def parts(value: Any) -> Iterable[Any]:
    """The values in a list or a mapping."""
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def read_yaml(path: Path) -> Any:
    """The value of a file; ValueError for no YAML, other tags than those of plain values, a name that is there twice,
    an alias within what it stands for, and more than `LIMIT`, `DEPTH`, `VALUES` or `DIGITS`."""
    text = limited.text(path, LIMIT)
    loader = LOADER(text)
    try:
        check_depth(text)  # before the parser that calls itself
        if (node := loader.get_single_node()) is None:
            return None
        count(node, {})
        return loader.construct_document(node)
    except FAULTS as error:
        told = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path} is no YAML of plain values: {told}") from error
    finally:
        loader.dispose()


def check_depth(text: str) -> None:
    """ValueError for lists and mappings that are nested too deeply."""
    depth = 0
    for event in yaml.parse(text, LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH:
            raise ValueError(f"expected lists and mappings to a depth of {DEPTH}")


def count(node: yaml.Node, known: dict[int, int]) -> int:
    """The number of values in a node, which has been checked."""
    if id(node) in known:
        if not known[id(node)]:
            raise ValueError("an alias stands within what it stands for")
        return known[id(node)]
    known[id(node)] = 0
    if node.tag not in TAGS:
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        raise ValueError(f"a value of kind {kind!r}: expected names, numbers, lists and mappings; a name in quotes")
    if node.tag.endswith(":int") and len(node.value) > DIGITS:
        raise ValueError(f"an integer of {len(node.value)} digits: expected at most {DIGITS}")
    inner = node.value if isinstance(node, yaml.SequenceNode) else ()
    if isinstance(node, yaml.MappingNode):
        once(
            [(str((key.tag, key.value)) if isinstance(key.value, str) else str(id(key)), None) for key, _ in node.value]
        )
        inner = [part for pair in node.value for part in pair]
    total = 1 + sum(count(part, known) for part in inner)
    if total > VALUES:
        raise ValueError(f"expected at most {VALUES:,} values")
    known[id(node)] = total
    return total
