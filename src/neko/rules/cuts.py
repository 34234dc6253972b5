"""Paths of a neuron that a rule gives no credit through."""

from __future__ import annotations

from neko.cells.base import Cell


def without_reset(cell: Cell) -> Cell:
    """The cell without credit through the reset of its membrane, as e-prop of Bellec et al. (2020) has it."""
    return cell.eligibility_cell()
