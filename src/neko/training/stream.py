"""The sequences of a stream, as its pieces come."""

from __future__ import annotations

from typing import Any

import numpy as np


def check_size(before: int | None, size: int) -> int:
    """The number of sequences in a piece; ValueError unless it is that of the pieces before, None at the beginning."""
    if before is not None and before != size:
        raise ValueError(
            f"a piece of {size} sequences in a stream of {before}: expected the same sequences as before "
            "(masked where one has ended), or reset() to begin anew"
        )
    return size


def check_target(target: str, held: bool) -> None:
    """ValueError for a target of the whole sequence that does not hold at every step."""
    if held and target != "every":
        raise ValueError(
            f"stream=True with target={target!r}: a piece does not know where its sequence ends; expected "
            "target='every', or targets at every step with a mask"
        )


def present(xp: Any, size: int, mask: Any) -> np.ndarray:
    """Which sequences have a frame that counts, (batch,)."""
    return np.ones(size, bool) if mask is None else np.asarray((xp.to_numpy(mask) > 0.0).any(axis=1))
