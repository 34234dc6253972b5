"""The state that a learning rule carries from one chunk of a stream to the next, and checks of chunks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from neko.arguments import check_integer
from neko.data.intake import Examples
from neko.io import snapshot
from neko.rules.base import GradientRule


class Stream:
    """The state that a gradient rule carries; `chunk`, `online` and `stream` as in `LearningRule`.

    ``carry`` is the state of the network and the rule, None at the start of a sequence; ``carries`` tells whether the
    next batch or chunk starts from the state at the end of the last one. ValueError for `online` without `chunk`, and
    for a rule or a model without a state to carry.
    """

    def __init__(self, gradient: GradientRule, *, chunk: int | None, online: bool, stream: bool) -> None:
        self.gradient = gradient
        self.chunk = None if chunk is None else check_integer("chunk", chunk)
        self.online = online
        self.stream = stream
        self.option = "stream=True" if stream else "online=True" if online else None
        self.carries = stream or online
        self.carry: Any = None
        self.sequences: int | None = None
        if online and chunk is None:
            raise ValueError("online=True needs chunk: the number of steps between updates, for example chunk=1")
        if stream or chunk:
            gradient.check_chunks()
        if stream and gradient.model.encoder is not None:
            raise ValueError(
                f"stream=True: the encoder {gradient.model.encoder!r} needs whole signals; encode the signal first "
                "and give its spikes in pieces"
            )
        for option, value in (("stream", stream), ("chunk", chunk)):
            if value and not gradient.streams:
                raise ValueError(
                    f"{option}={value!r}: {type(gradient).__name__} carries no state from chunk to chunk; use Eprop"
                )
            if value and gradient.model.model.persistent:
                raise ValueError(
                    f"{option}={value!r}: {gradient.model.model!r} has no state to carry; use a network of cells"
                )

    def check_target(self, batch: Examples) -> None:
        """ValueError for a sequence-level target that does not apply at every step."""
        objective = self.gradient.model.objective
        if self.option and objective.target != "every" and objective.is_sequence_level(batch.y):
            raise ValueError(
                f"{self.option} with target={objective.target!r}: the end of a sequence is not known within a chunk; "
                "expected target='every', or targets at every step with a mask"
            )

    def chunks(self, batch: Examples) -> Iterator[tuple[Examples, np.ndarray | None]]:
        """The chunks of a batch between which weights are updated, with the sequences (batch,) that end in each, None
        for a chunk without valid frames; ValueError if the number of sequences changes."""
        if self.sequences is not None and self.sequences != batch.size:
            raise ValueError(
                f"a chunk of {batch.size} sequences in a stream of {self.sequences}: expected the same sequences as "
                "before (masked where one has ended), or reset() to start again"
            )
        self.sequences = batch.size
        counts, time = batch.counts(), int(batch.x.shape[1])
        own = slice(None) if batch.part is None else batch.part.rows
        last, length = ends(counts), self.chunk if self.online and self.chunk else time
        sequence_level = self.gradient.model.objective.is_sequence_level(batch.y)
        # In a stream the frames after the last valid one change the state for the next chunk.
        for begin in range(0, time if self.stream else int(last.max()) + 1, length):
            steps = slice(begin, begin + length)
            closing = ((last >= begin) & (last < begin + length))[own] if counts[:, steps].any() else None
            yield batch.cut(steps, sequence_level), closing

    def start(self, size: int) -> Any:
        """The state from which a chunk of `size` sequences starts."""
        with self.gradient.xp.scope():
            return self.gradient.initial_carry(size) if self.carry is None else self.carry

    def reset(self) -> None:
        """Forget the state."""
        self.carry = self.sequences = None

    def exported(self) -> dict[str, Any]:
        """The carry for a checkpoint."""
        return {"carry": snapshot.exported(self.gradient.xp, self.carry), "sequences": self.sequences}

    def load(self, saved: dict[str, Any]) -> None:
        """Load what `exported` returned; nothing is differentiated."""
        template = None if saved["carry"] is None else self.gradient.carry_template(saved["sequences"])
        self.carry = snapshot.loaded(self.gradient.xp, template, saved["carry"], "carry")
        self.sequences = saved["sequences"]


def ends(counts: np.ndarray) -> np.ndarray:
    """Index of the last valid frame of each sequence, (batch,), from (batch, time); -1 where there is none."""
    return np.where(counts.any(axis=1), counts.shape[1] - 1 - np.argmax(counts[:, ::-1], axis=1), -1)
