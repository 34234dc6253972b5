"""Whether a gradient is zero because nothing was recorded: then nothing would ever be learnt, without a word."""

from __future__ import annotations

import warnings

from neko.errors import GradientError, GradientWarning

CAUSES = "detach(), no_grad, stop_gradient, NumPy or a conversion to whole numbers"


def check_any(found: dict[str, bool], where: str) -> None:
    """GradientError if no path of derivatives leads from any parameter to the loss.

    Parameters
    ----------
    found : dict of bool
        By parameter, as `neko.backend.protocol.Backend.value_and_grad` tells it.
    where : str
        What to look into.
    """
    if not any(found.values()):
        raise GradientError(
            f"no gradient was recorded from the loss to {', '.join(sorted(found))}: expected at least one; look into "
            f"{where} for {CAUSES}"
        )


def warn_of_single(found: dict[str, bool], where: str, known: frozenset[str]) -> frozenset[str]:
    """Warn of parameters without any path to the loss, but not again of those that are `known`; all of them."""
    missing = frozenset(name for name, there in found.items() if not there)
    if missing - known:
        warnings.warn(
            f"no gradient was recorded for {', '.join(sorted(missing - known))}, which will not be learnt: the loss "
            f"does not depend on it, or is cut off from it in {where} by {CAUSES}; freeze it if that is meant",
            GradientWarning,
            stacklevel=2,
        )
    return known | missing
