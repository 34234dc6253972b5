"""Processes of ``torch.distributed``, started by ``torchrun`` or a launcher that sets its variables."""

from __future__ import annotations

import atexit
import contextlib
import datetime
import os
from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed
import torch.distributed.nn.functional

from neko.backend.parts import Part
from neko.distributed.world import World, refuse_other
from neko.errors import WorldError
from neko.identity import differences

VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
PATIENCE = datetime.timedelta(minutes=10)
"""For which a process waits for the others: longer than a step, an evaluation or a compilation takes."""


class TorchWorld(World):
    """Processes that divide each batch; see `neko.distributed.start`.

    Sums go over NCCL where the model is on a CUDA device, else over Gloo.
    """

    def __init__(self, device: Any) -> None:
        self.device = device
        if not torch.distributed.is_initialized():
            missing = [name for name in VARIABLES if name not in os.environ]
            if missing:
                raise ValueError(
                    f"distributed: the variables {missing!r} are not set: expected a start by "
                    "torchrun --nproc-per-node=2 -m neko train … --distributed (or of your own script)"
                )
            kind = "nccl" if device.type == "cuda" else "gloo"
            with plain_errors(int(os.environ["RANK"])):
                torch.distributed.init_process_group(kind, timeout=PATIENCE)
            atexit.register(torch.distributed.destroy_process_group)
        self.rank, self.size = torch.distributed.get_rank(), torch.distributed.get_world_size()

    def part(self, count: int) -> Part | None:
        if self.size == 1 or count < self.size:
            return None
        begin, end = (count * rank // self.size for rank in (self.rank, self.rank + 1))
        return Part(begin, end, count, self)

    def counts(self, part: Part | None) -> bool:
        return part is not None or self.rank == 0

    def mean(self, x: Any) -> Any:
        with plain_errors(self.rank):
            if x.requires_grad:
                return torch.distributed.nn.functional.all_reduce(x) / self.size
            x = x.clone()
            torch.distributed.all_reduce(x)
            return x / self.size

    def total(self, measures: dict[str, Any]) -> dict[str, Any]:
        if self.size == 1:
            return measures
        names = self.names(list(measures))
        pairs = [measures.get(name, (0.0, 0.0)) for name in names]
        sums = torch.tensor([[float(a) for a in pair] for pair in pairs], dtype=torch.float64, device=self.device)
        with plain_errors(self.rank):
            torch.distributed.all_reduce(sums)
        return {name: tuple(pair) for name, pair in zip(names, sums.tolist(), strict=True)}

    def names(self, own: list[str]) -> list[str]:
        """The measures of all processes: one that has counted no batch has none."""
        return list(dict.fromkeys(name for found in self.gathered(own) for name in found))

    def agree(self, flag: bool) -> bool:
        found = torch.tensor(float(flag), device=self.device)
        with plain_errors(self.rank):
            torch.distributed.all_reduce(found)
        return bool(found > 0.0)

    def check_equal(self, described: dict[str, Any]) -> None:
        every = self.gathered(described)
        for rank, found in enumerate(every):
            refuse_other(rank, [path for path, _, _ in differences(every[0], found)])

    def gathered(self, found: Any) -> list[Any]:
        """A plain object of every process."""
        every: list[Any] = [None] * self.size
        with plain_errors(self.rank):
            torch.distributed.all_gather_object(every, found)
        return every


@contextlib.contextmanager
def plain_errors(rank: int) -> Iterator[None]:
    """WorldError in place of what the libraries of communication raise when another process has gone."""
    try:
        yield
    except (RuntimeError, torch.distributed.DistError) as error:
        reason = str(error).strip().splitlines()[0]
        raise WorldError(
            f"process {rank} lost the others: one of them has ended, or its network has ({reason}). The last "
            "checkpoint is whole: start the run again with resume"
        ) from error
