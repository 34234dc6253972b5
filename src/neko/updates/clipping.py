"""Gradient clipping."""

from __future__ import annotations

from typing import Any

from neko.arguments import is_real
from neko.backend.protocol import Backend


def check_clip_norm(clip_norm: Any) -> float | None:
    """The norm as a float; ValueError unless it is None or above 0."""
    if clip_norm is not None and not (is_real(clip_norm) and clip_norm > 0.0):
        raise ValueError(f"clip_norm={clip_norm!r}: expected a number above 0 or None")
    return None if clip_norm is None else float(clip_norm)


def clip_by_global_norm(xp: Backend, gradients: dict[str, Any], norm: float) -> dict[str, Any]:
    """``g · min(1, norm / ‖g‖₂)`` with the norm over all gradients together (Pascanu et al. 2013)."""
    squares = sum(xp.sum(xp.square(g)) for g in gradients.values())
    factor = norm / xp.maximum(xp.sqrt(squares), norm)
    return {name: g * factor for name, g in gradients.items()}
