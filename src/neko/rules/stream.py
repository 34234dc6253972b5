"""The sequences of a stream, as its pieces come."""

from __future__ import annotations

from typing import Any

import numpy as np


def follow(ended: np.ndarray | None, size: int, counts: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Which sequences have ended after a piece of a stream, and which have a frame in it, (batch,) each.

    Parameters
    ----------
    ended : array (batch,) or None
        Which had ended before; None at the beginning.
    size : int
        Sequences in the piece.
    counts : array (batch, time) or None
        Which of its frames count; None for all.

    Raises
    ------
    ValueError
        For a piece that does not go on with the sequences of the one before.
    """
    before = np.zeros(size, bool) if ended is None else ended
    if len(before) != size:
        raise ValueError(
            f"a piece of {size} sequences in a stream of {len(before)}: expected the same sequences as before "
            "(masked where one has ended), or reset() to begin anew"
        )
    counts = np.ones((size, 1), bool) if counts is None else counts
    return before, np.asarray(counts.any(axis=1))


def check_target(target: str, held: bool) -> None:
    """ValueError for a target of the whole sequence that does not hold at every step."""
    if held and target != "every":
        raise ValueError(
            f"stream=True with target={target!r}: a piece does not know where its sequence ends; expected "
            "target='every', or targets at every step with a mask"
        )


def counted(xp: Any, mask: Any) -> np.ndarray | None:
    """Which frames count, on the host."""
    return None if mask is None else np.asarray(xp.to_numpy(mask) > 0.0)
