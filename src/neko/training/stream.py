"""The sequences of a stream, as its chunks come."""

from __future__ import annotations

import numpy as np


def check_size(before: int | None, size: int) -> int:
    """The number of sequences in a chunk; ValueError unless it is that of the chunks before, None at the beginning."""
    if before is not None and before != size:
        raise ValueError(
            f"a chunk of {size} sequences in a stream of {before}: expected the same sequences as before "
            "(masked where one has ended), or reset() to begin anew"
        )
    return size


def check_target(option: str, target: str, sequence_level: bool) -> None:
    """ValueError for a sequence-level target that does not hold at every step."""
    if sequence_level and target != "every":
        raise ValueError(
            f"{option} with target={target!r}: a chunk does not know where its sequence ends; expected "
            "target='every', or targets at every step with a mask"
        )


def ends(counts: np.ndarray) -> np.ndarray:
    """Index of the last frame that counts of each sequence, (batch,), from (batch, time); -1 where there is none."""
    return np.where(counts.any(axis=1), counts.shape[1] - 1 - np.argmax(counts[:, ::-1], axis=1), -1)
