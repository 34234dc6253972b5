"""Paths that a rule gives no credit through."""

from __future__ import annotations

import dataclasses

from neko.cells.base import Cell


def without_reset(cell: Cell) -> Cell:
    """The cell with no credit through its reset, as e-prop of Bellec et al. (2020) differentiates it.

    That is a copy with ``detach_reset=True`` of a cell that has such a field; any other cell is returned as it is.
    """
    declared = any(field.name == "detach_reset" for field in dataclasses.fields(cell))
    return dataclasses.replace(cell, detach_reset=True) if declared else cell  # type: ignore[call-arg]
