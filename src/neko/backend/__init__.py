"""One API of tensor operations over PyTorch, JAX and TensorFlow, all usable in one process.

``from neko.backend import pytorch_backend`` gives the backend with its defaults; `get` chooses device and
precision. A framework is imported when its backend is asked for, not before.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from typing import Any

DTYPES = ("float32", "float64")

# name: (module and class here, the module that must be installed)
_BACKENDS = {
    "torch": ("neko.backend._torch", "TorchBackend", "torch"),
    "jax": ("neko.backend._jax", "JaxBackend", "jax"),
    "tensorflow": ("neko.backend._tensorflow", "TensorFlowBackend", "tensorflow"),
}
_ALIASES = {"pytorch_backend": "torch", "jax_backend": "jax", "tensorflow_backend": "tensorflow"}


def available() -> tuple[str, ...]:
    """The backends there are, installed or not."""
    return tuple(_BACKENDS)


def installed() -> tuple[str, ...]:
    """The backends whose framework is installed."""
    return tuple(name for name, (_, _, module) in _BACKENDS.items() if importlib.util.find_spec(module))


def get(name: str, *, device: str | None = None, dtype: str = "float32") -> Any:
    """The backend of a name; the same object for the same arguments.

    Parameters
    ----------
    name : {'torch', 'jax', 'tensorflow'}
        The framework.
    device : str, optional
        Where arrays live, in the framework's words ('cuda' or 'cuda:1' for torch, 'gpu' for jax, 'GPU:0' for
        tensorflow); by default the CPU for torch and jax, and where TensorFlow puts them.
    dtype : {'float32', 'float64'}
        Precision of floating-point arrays.

    Raises
    ------
    ValueError
        For an unknown name or dtype, or a device that this machine does not have; those that it has are named.
    ImportError
        If the framework is not installed.
    """
    if name not in _BACKENDS:
        raise ValueError(f"backend {name!r}: expected one of {available()}")
    if dtype not in DTYPES:
        raise ValueError(f"dtype={dtype!r}: expected one of {DTYPES}")
    return _create(name, None if device is None else str(device), dtype)


@functools.cache
def _create(name: str, device: str | None, dtype: str) -> Any:
    module, cls, framework = _BACKENDS[name]
    if importlib.util.find_spec(framework) is None:
        raise ImportError(
            f"the backend {name!r} needs {framework}, which is not installed: pip install 'neko-learning[{name}]'"
        )
    return getattr(importlib.import_module(module), cls)(device, dtype)


def __getattr__(name: str) -> Any:
    if name in _ALIASES:
        return get(_ALIASES[name])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["available", "get", "installed", "jax_backend", "pytorch_backend", "tensorflow_backend"]
