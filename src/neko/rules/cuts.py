"""Cells without the paths that a rule cuts."""

from __future__ import annotations

import dataclasses

from neko.cells.base import Cell


def without_reset(cell: Cell) -> Cell:
    """The cell without credit through its reset, as in e-prop of Bellec et al. (2020): a copy with
    ``detach_reset=True``, if the cell has such a field."""
    declared = any(field.name == "detach_reset" for field in dataclasses.fields(cell))
    return dataclasses.replace(cell, detach_reset=True) if declared else cell  # type: ignore[call-arg]
