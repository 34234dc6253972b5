"""Arrays of any framework as NumPy has them."""

from __future__ import annotations

from typing import Any

import numpy as np


def host(x: Any) -> np.ndarray:
    """An array on the host, without history; in bytes as this machine has them.

    What NumPy has no type for (bfloat16) comes in single precision, what no framework has (long double) in double."""
    if hasattr(x, "detach"):
        x = x.detach().cpu()
        if "bfloat16" in str(x.dtype):
            x = x.float()
        x = x.numpy()
    found = np.asarray(x)
    # Extension types, as JAX and TensorFlow have for bfloat16, are void to NumPy.
    if found.dtype.kind == "V" and found.dtype.names is None:
        return found.astype(np.float32)
    if found.dtype.kind == "f" and found.dtype.itemsize > 8:
        return found.astype(np.float64)
    return found if found.dtype.isnative else found.astype(found.dtype.newbyteorder("="))
