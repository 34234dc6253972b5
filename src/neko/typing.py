"""Types shared by all of Neko."""

from __future__ import annotations

from typing import Any

Array = Any
"""An array of the backend in use: torch.Tensor, jax.Array or tf.Tensor."""
