"""Conversion between trees of a backend's arrays and the plain containers of a checkpoint."""

from __future__ import annotations

from typing import Any

import numpy as np

from neko.errors import CheckpointError

NUMBERS = (bool, int, float, str)


def exported(xp: Any, tree: Any) -> Any:
    """A tree as dicts (NamedTuples by field), lists, numbers and NumPy copies of its arrays."""
    if tree is None or isinstance(tree, NUMBERS):
        return tree
    if isinstance(tree, dict):
        return {str(name): exported(xp, part) for name, part in tree.items()}
    if hasattr(tree, "_fields"):
        return {name: exported(xp, part) for name, part in zip(tree._fields, tree, strict=True)}
    if isinstance(tree, tuple | list):
        return [exported(xp, part) for part in tree]
    array = np.array(xp.to_numpy(tree))
    if array.dtype == object:
        raise CheckpointError(f"state holds {tree!r}: expected arrays, numbers and containers of them")
    return array


def loaded(xp: Any, template: Any, saved: Any, path: str = "state") -> Any:
    """The inverse of `exported`: a tree of the structure of the template.

    CheckpointError, with the path, if names, shapes or dtypes differ from the template's.
    """
    if template is None or isinstance(template, NUMBERS):
        if type(saved) is not type(template):
            raise CheckpointError(f"{path} is {saved!r}: expected {like(template)}")
        return saved
    if isinstance(template, dict) or hasattr(template, "_fields"):
        named = template if isinstance(template, dict) else template._asdict()
        expected = sorted(map(str, named))
        if not isinstance(saved, dict) or sorted(saved) != expected:
            found = sorted(saved) if isinstance(saved, dict) else like(saved)
            raise CheckpointError(f"{path} has {found!r}: expected {expected!r}")
        parts = {name: loaded(xp, part, saved[str(name)], f"{path}.{name}") for name, part in named.items()}
        return parts if isinstance(template, dict) else type(template)(**parts)
    if isinstance(template, tuple | list):
        if not isinstance(saved, list) or len(saved) != len(template):
            raise CheckpointError(f"{path} is {like(saved)}: expected {len(template)} entries")
        pairs = enumerate(zip(template, saved, strict=True))
        return type(template)(loaded(xp, part, value, f"{path}[{i}]") for i, (part, value) in pairs)
    array = np.asarray(xp.to_numpy(template))
    if not isinstance(saved, np.ndarray) or (saved.shape, saved.dtype) != (array.shape, array.dtype):
        raise CheckpointError(f"{path} is {like(saved)}: expected {like(array)}")
    # what is on the host, in whatever precision, stays there
    return np.array(saved) if isinstance(template, np.ndarray) else xp.asarray(saved, dtype=template.dtype)


def count(name: str, saved: Any) -> int:
    """A saved number of steps or epochs; CheckpointError for anything else."""
    if type(saved) is not int or not 0 <= saved < 2**53:
        raise CheckpointError(f"{name}={saved!r}: expected a number of steps or epochs")
    return saved


def like(value: Any) -> str:
    """The type of a value, of an array also shape and dtype."""
    if isinstance(value, np.ndarray | np.generic):
        return f"an array {value.shape!r} of {value.dtype}"
    return type(value).__name__
