"""SciPy and ArviZ, which only a posterior needs, and names that ArviZ takes."""

from __future__ import annotations

import warnings
from collections.abc import Container, Iterable
from typing import Any


def free(name: str, taken: Container[str]) -> str:
    """The name, with "_" until it is not taken."""
    while name in taken:
        name += "_"
    return name


def arviz_names(names: Iterable[str]) -> dict[str, str]:
    """A name in ArviZ for each parameter: no path, no dimension, and no two the same."""
    found: dict[str, str] = {}
    taken = {"chain", "draw"}
    for name in names:
        found[name] = free(name.replace("/", "."), taken)
        taken |= {found[name], *(f"{found[name]}_dim_{i}" for i in range(8))}
    return found


def scipy_stats() -> Any:
    """SciPy's statistics; ImportError says what to install."""
    try:
        from scipy import stats
    except ImportError as error:
        raise ImportError("ranks of uncertainties need SciPy: pip install 'neko-learning[bayes]'") from error
    return stats


def arviz() -> Any:
    """ArviZ, without the notice of its coming versions.

    It warns once a day, on import: no concern of who asks for an R̂, and a failure where warnings are errors.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"\s*ArviZ is undergoing", category=FutureWarning)
        try:
            import arviz as az
        except ImportError as error:
            raise ImportError("diagnostics of chains need ArviZ: pip install 'neko-learning[bayes]'") from error
    return az
