"""Products of JAX whose operands are rounded to bfloat16."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

ALGORITHM = jax.lax.DotAlgorithmPreset.BF16_BF16_F32
"""Operands in bfloat16 and sums in float32; XLA on the CPU takes it for a permission only, so operands are rounded."""


def rounded(a: Any) -> Any:
    """`a` in float32, rounded to the nearest number of bfloat16; XLA does not remove it, as it may two conversions."""
    return jax.lax.reduce_precision(a, exponent_bits=8, mantissa_bits=7)


@jax.custom_jvp  # type: ignore[untyped-decorator]
def rounded_product(a: Any, w: Any) -> Any:
    """``a @ w`` with rounded operands."""
    return jnp.matmul(rounded(a), rounded(w), precision=ALGORITHM)


@rounded_product.defjvp  # type: ignore[untyped-decorator]
def _(primals: Any, tangents: Any) -> Any:
    (a, w), (da, dw) = primals, tangents
    # Rounding transposed comes before the product: each derivative in reverse mode has rounded operands.
    change = jnp.matmul(da, rounded(w), precision=ALGORITHM) + jnp.matmul(rounded(a), dw, precision=ALGORITHM)
    return rounded_product(a, w), rounded(change)
