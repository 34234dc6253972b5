"""Errors and warnings for gradients that are zero because the framework recorded no path to a parameter."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from neko.errors import GradientError, GradientWarning

CAUSES = "detach(), no_grad, stop_gradient, NumPy or a conversion to whole numbers"


def check_any(found: dict[str, bool], where: str) -> None:
    """GradientError if no path of derivatives leads from any parameter to the loss, by `found` of
    `Backend.value_and_grad`; `where` names the possible cause."""
    if not any(found.values()):
        raise GradientError(
            f"no gradient was recorded from the loss to {', '.join(sorted(found))}: expected at least one; look into "
            f"{where} for {CAUSES}"
        )


def warn_of_single(found: dict[str, bool], where: str, known: frozenset[str]) -> frozenset[str]:
    """Warn of parameters without any path to the loss, except those in `known`; returns all of them."""
    missing = frozenset(name for name, there in found.items() if not there)
    if missing - known:
        warnings.warn(
            f"no gradient was recorded for {', '.join(sorted(missing - known))}, which will not be learnt: the loss "
            f"does not depend on it, or is cut off from it in {where} by {CAUSES}; freeze it if that is meant",
            GradientWarning,
            stacklevel=2,
        )
    return known | missing


def call(name: str, function: Callable[..., Any], xp: Any, *arrays: Any) -> Any:
    """``function(xp, *arrays)`` of a loss; GradientError where it leaves the framework, which then records nothing."""
    try:
        found = function(xp, *arrays)
    except (TypeError, RuntimeError, AttributeError) as error:
        # Every framework refuses to convert an array that it records to NumPy; the messages differ.
        if "numpy" not in str(error).lower():
            raise
        raise left(name, xp) from error
    if not xp.owns(found):
        raise left(name, xp)
    return found


def left(name: str, xp: Any) -> GradientError:
    """The error for a loss that leaves the framework."""
    return GradientError(
        f"the loss {name!r} computes in NumPy or Python, where {xp.name} records no gradient: expected an array made "
        "of its arguments by operators and xp.* functions, for example xp.mean(xp.square(prediction - target), axis=-1)"
    )
