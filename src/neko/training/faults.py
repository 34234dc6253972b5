"""The error for numbers that are not finite: which, since when, and what to try."""

from __future__ import annotations

from neko.errors import NonFiniteError


def error(step: int, tensor: str, *, rate: float, clipped: bool) -> NonFiniteError:
    """The error for a tensor that was not finite at an update with a learning rate."""
    bounds = "" if clipped else ", clip_norm=1.0"
    if tensor == "loss":
        remedy = f"look at targets and inputs of this batch, or try smaller weights, a smaller learning_rate{bounds}"
    else:
        remedy = f"try a learning_rate below {rate:g}{bounds}, or a smaller dampening of the surrogate"
    return NonFiniteError(step, tensor, f"{remedy}; the model keeps its parameters from before the step")
