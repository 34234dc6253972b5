"""What the training loop knows of the processes and devices that train together."""

from __future__ import annotations

from typing import Any

from neko.backend.parts import Part


class World:
    """A process by itself, and the base of those that are not.

    Attributes
    ----------
    rank : int
        Number of this process; process 0 writes files and shows progress.
    size : int
        Number of processes that divide a batch.
    """

    rank = 0
    size = 1

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: process {self.rank} of {self.size}>"

    @property
    def alone(self) -> bool:
        """Whether there is one process, which need not agree with others."""
        return self.size == 1

    @property
    def writes(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def part(self, count: int) -> Part | None:
        """The examples of a batch of `count` ones that this process computes; None for the whole batch."""
        return None

    def place(self, examples: Any) -> Any:
        """A `neko.data.intake.Examples` of this process, where its devices need it."""
        return examples

    def counts(self, part: Part | None) -> bool:
        """Whether the measures of a batch are to be counted: those of the whole batch in one process only."""
        return True

    def total(self, measures: dict[str, Any]) -> dict[str, Any]:
        """(total, weight) by name, summed over processes."""
        return measures

    def agree(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        return flag

    def check_equal(self, described: dict[str, Any]) -> None:
        """ValueError with the names at which the description of a run differs from that of process 0."""


def refuse_other(rank: int, names: list[str]) -> None:
    """ValueError for names at which a process's run differs from that of process 0."""
    if names:
        raise ValueError(
            f"distributed: process {rank} has not the {', '.join(names)} of process 0: expected the same model, data "
            "and options in every process, with the same seeds (torch.manual_seed before a module of your own is made)"
        )
