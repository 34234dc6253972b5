"""Mixed precision: products of matrices whose operands are rounded, with sums in float32."""

from __future__ import annotations

import warnings
from typing import Any

from neko.errors import PrecisionWarning

PRODUCTS = ("bfloat16",)
"""Precisions to which operands may be rounded. Those of bfloat16 have the range of float32, so no loss is scaled."""


def check_products(name: str, dtype: str, products: Any) -> None:
    """ValueError for products that a backend does not have."""
    if products is None:
        return
    if products not in PRODUCTS:
        raise ValueError(f"products={products!r}: expected one of {PRODUCTS}, or None for those of dtype={dtype!r}")
    if dtype != "float32":
        raise ValueError(f"products={products!r} with dtype={dtype!r}: expected dtype='float32', the precision of sums")
    if name == "tensorflow":
        raise ValueError(
            f"products={products!r}: TensorFlow adds up products of bfloat16 in bfloat16, with errors that grow with "
            "the number of neurons: take backend 'torch' or 'jax', or leave products out"
        )


def warn_of_float32(place: Any) -> None:
    """PrecisionWarning for a processor that multiplies rounded operands in float32."""
    warnings.warn(
        f"products='bfloat16' on {place}: this processor has no products of bfloat16, or the framework does not use "
        "them. Numbers are as on a processor that has them, and take longer than without this option",
        PrecisionWarning,
        stacklevel=5,
    )
