"""From a user's arrays, or a batch of a user's iterable, to inputs, targets and mask."""

from __future__ import annotations

from typing import Any

from neko import containers
from neko.data.intake import Intake

Raw = tuple[Any, Any, Any]
"""Inputs, targets and mask (or None) in any container."""


def as_raw(x: Any, y: Any, mask: Any, intake: Intake) -> Raw:
    """Inputs, or their spikes where there is an encoder, targets and mask in any container as arrays."""
    x, y, mask = intake.coded(x, y, mask)
    y, mask = (None if a is None else containers.as_array(name, a) for name, a in (("y", y), ("mask", mask)))
    return intake.evaluator.model.receive(x), y, mask


def as_batch(batch: Any, number: int, intake: Intake) -> Raw:
    """(x, y, mask) of a batch (x, y) or (x, y, mask)."""
    if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
        what = f"{len(batch)} arrays" if isinstance(batch, tuple | list) else type(batch).__name__
        raise TypeError(f"batch {number} is {what}: expected (x, y) or (x, y, mask)")
    x, y, mask = batch if len(batch) == 3 else (*batch, None)
    if y is None:
        raise TypeError(f"batch {number} has no targets: expected (x, y) or (x, y, mask)")
    return as_raw(x, y, mask, intake)
