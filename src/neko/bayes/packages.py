"""Optional packages of posteriors, SciPy and ArviZ, and names for ArviZ."""

from __future__ import annotations

import contextlib
import importlib
import warnings
from collections.abc import Container, Iterable, Iterator
from typing import Any


def free(name: str, taken: Container[str]) -> str:
    """The name, with "_" until it is not taken."""
    while name in taken:
        name += "_"
    return name


def arviz_names(names: Iterable[str]) -> dict[str, str]:
    """A unique name in ArviZ for each parameter, without "/", and different from names of dimensions."""
    found: dict[str, str] = {}
    taken = {"chain", "draw"}
    for name in names:
        found[name] = free(name.replace("/", "."), taken)
        taken |= {found[name], *(f"{found[name]}_dim_{i}" for i in range(8))}
    return found


def scipy_stats() -> Any:
    """SciPy's statistics; ImportError says what to install."""
    return scipy("stats", "ranks of uncertainties")


def scipy(module: str, use: str) -> Any:
    """A module of SciPy; ImportError says what to install for a use."""
    try:
        return importlib.import_module(f"scipy.{module}")
    except ImportError as error:
        raise ImportError(f"{use} need SciPy: pip install 'neko-learning[bayes]'") from error


def arviz() -> Any:
    """ArviZ, without the daily FutureWarning of its import, which would fail where warnings are errors."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"\s*ArviZ is undergoing", category=FutureWarning)
        try:
            import arviz as az
        except ImportError as error:
            raise ImportError("diagnostics of chains need ArviZ: pip install 'neko-learning[bayes]'") from error
    return az


@contextlib.contextmanager
def checked_shapes() -> Iterator[None]:
    """Without ArviZ's guess that more chains than draws are transposed arrays, where shapes were checked."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="More chains", category=UserWarning)
        yield
