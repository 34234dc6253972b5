"""Trees of arrays: nested dicts, tuples, NamedTuples and lists, in which None stands for no array."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


def leaves(tree: Any) -> list[Any]:
    """The arrays of a tree in a fixed order (dicts by sorted key)."""
    if tree is None:
        return []
    if isinstance(tree, dict):
        return [leaf for key in sorted(tree) for leaf in leaves(tree[key])]
    if isinstance(tree, tuple | list):
        return [leaf for branch in tree for leaf in leaves(branch)]
    return [tree]


def rebuild(tree: Any, new: Iterator[Any]) -> Any:
    """A tree of the same shape with its arrays taken from `new`, in the order of `leaves`."""
    if tree is None:
        return None
    if isinstance(tree, dict):
        built = {key: rebuild(tree[key], new) for key in sorted(tree)}
        return {key: built[key] for key in tree}
    if isinstance(tree, tuple | list):
        branches = [rebuild(branch, new) for branch in tree]
        return type(tree)(*branches) if hasattr(tree, "_fields") else type(tree)(branches)
    return next(new)


def map(f: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """`f` over the arrays of trees of equal structure; ValueError if they have different numbers of arrays."""
    columns = [leaves(tree), *(leaves(other) for other in others)]
    if len({len(column) for column in columns}) != 1:
        raise ValueError(f"trees with {[len(column) for column in columns]!r} arrays: expected equal shapes")
    return rebuild(tree, iter([f(*row) for row in zip(*columns, strict=True)]))
