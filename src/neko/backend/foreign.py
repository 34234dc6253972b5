"""Arrays of any framework as NumPy arrays, and the error for a device that is not available."""

from __future__ import annotations

from typing import Any

import numpy as np


def host(x: Any) -> np.ndarray:
    """An array on the host, without history, in native byte order.

    bfloat16, for which NumPy has no type, becomes single precision; long double, which no framework has, double."""
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


def unavailable(backend: str, version: str, device: Any, available: list[str], install: str) -> ValueError:
    """The error for a device: it names the available ones, and what to install for others."""
    return ValueError(f"device={device!r}: {backend} {version} has {', '.join(map(repr, available))} here; {install}")
