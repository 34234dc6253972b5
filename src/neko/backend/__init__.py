"""One API of tensor operations over PyTorch, JAX and TensorFlow, all usable in one process.

``from neko.backend import pytorch_backend`` gives the backend with its defaults; `get` selects device and
precision. A framework is imported only when its backend is requested.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from typing import Any

from neko.backend.products import PRODUCTS as PRODUCTS
from neko.backend.products import check_products

DTYPES = ("float32", "float64")
OPTIMIZERS = ("adagrad", "adam", "adamax", "adamw", "momentum", "nesterov", "rmsprop", "sgd")
"""Names of optimizers that every backend has; `neko.updates.resolve` lists their constants."""

# name: (module and class here, the modules that must be installed)
_BACKENDS = {
    "torch": ("neko.backend._torch", "TorchBackend", ("torch", "array_api_compat")),
    "jax": ("neko.backend._jax", "JaxBackend", ("jax", "optax")),
    "tensorflow": ("neko.backend._tensorflow", "TensorFlowBackend", ("tensorflow",)),
}
_ALIASES = {"pytorch_backend": "torch", "jax_backend": "jax", "tensorflow_backend": "tensorflow"}


def available() -> tuple[str, ...]:
    """All backends, installed or not."""
    return tuple(_BACKENDS)


def installed() -> tuple[str, ...]:
    """The backends whose framework is installed."""
    return tuple(name for name in _BACKENDS if not _missing(name))


def default() -> str:
    """The backend if none is named: the first installed of torch, jax and tensorflow; ImportError without any."""
    found = installed()
    if not found:
        raise ImportError(
            "no framework is installed: neko needs one of torch, jax and tensorflow, for example "
            "pip install 'neko-learning[torch]'"
        )
    return found[0]


def is_processor(word: Any) -> bool:
    """Whether a word is a framework's name of a device, such as 'cpu', 'cuda:1' or '/GPU:0'."""
    kind = str(word).lower().removeprefix("/").removeprefix("device:").partition(":")[0]
    return kind in ("cpu", "gpu", "cuda", "rocm", "tpu", "mps", "xpu", "metal")


def get(name: str, *, device: str | None = None, dtype: str = "float32", products: str | None = None) -> Any:
    """The backend of a name; the same object for the same arguments.

    Parameters
    ----------
    name : {'torch', 'jax', 'tensorflow'}
        The framework.
    device : str, optional
        Where arrays live, in the framework's words: 'cpu', 'cuda', 'cuda:1', 'mps' for torch, 'cpu', 'gpu', 'tpu' for
        jax, '/GPU:0' for tensorflow; ``'gpu'``, ``'cuda'`` and ``'cuda:1'`` are understood by all three. By default
        the CPU for torch and jax, and TensorFlow's own choice.
    dtype : {'float32', 'float64'}
        Precision of floating-point arrays.
    products : {'bfloat16'}, optional
        Mixed precision: the two operands of large matrix products are rounded to bfloat16 (8 bits of mantissa), which
        processors multiply faster. Sums over products, and all else (weights, states, eligibility traces, losses,
        states of optimizers), stay in float32. Not with TensorFlow, and only with ``dtype='float32'``. By default
        operands are as they are.

    Raises
    ------
    ValueError
        For an unknown name or dtype, products that a backend does not have, or a device that this machine does not
        have; those that it has are named.
    ImportError
        If the framework is not installed.

    Warns
    -----
    PrecisionWarning
        With `products`, where the processor multiplies in float32: numbers are as on one that has these products, and
        take longer than without.
    """
    if name not in _BACKENDS:
        raise ValueError(f"backend {name!r}: expected one of {available()}")
    if dtype not in DTYPES:
        raise ValueError(f"dtype={dtype!r}: expected one of {DTYPES}")
    check_products(name, dtype, products)
    missing = _missing(name)
    if missing:
        raise ImportError(
            f"the backend {name!r} needs {' and '.join(missing)}, which is not installed: "
            f"pip install 'neko-learning[{name}]'",
            name=missing[0],
        )
    return _create(name, None if device is None else str(device), dtype, products)


@functools.cache
def _create(name: str, device: str | None, dtype: str, products: str | None) -> Any:
    module, cls, _ = _BACKENDS[name]
    return getattr(importlib.import_module(module), cls)(device, dtype, products)


def _missing(name: str) -> list[str]:
    """The required modules of a backend that are not installed."""
    return [module for module in _BACKENDS[name][2] if importlib.util.find_spec(module) is None]


def __getattr__(name: str) -> Any:
    if name in _ALIASES:
        return get(_ALIASES[name])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "available",
    "default",
    "get",
    "installed",
    "is_processor",
    "jax_backend",
    "pytorch_backend",
    "tensorflow_backend",
]
