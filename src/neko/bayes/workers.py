"""Processes that make the transitions of chains."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import weakref
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from neko import tree
from neko.backend.protocol import Backend


class Workers:
    """`count` processes, started when they are first needed, which live as long as this object.

    Each holds a copy of a sampler and makes transitions with as many threads as this process: the numbers are the
    same. It holds nothing of a chain between two transitions. A worker ends when its pipe is closed, so also when this
    process is killed. A copy, also by pickle, has processes of its own.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.pipes: list[Connection] = []
        self.sent: Any = None

    def __reduce__(self) -> Any:
        return Workers, (self.count,)

    def run(self, sampler: Any, jobs: list[Any], arguments: Any) -> list[Any]:
        """A transition of the sampler for each job; arguments that are the same objects as before are not sent again.

        Raises
        ------
        RuntimeError
            If a process has ended: it could not import what the sampler is made of, or was killed.
        """
        xp = sampler.xp
        if not self.pipes:
            self.start(sampler, min(self.count, len(jobs)))
        leaves = tree.leaves(arguments)
        known = self.sent is not None and [*map(id, leaves)] == [*map(id, self.sent)]
        self.sent = leaves
        given = None if known else on_host(xp, arguments)
        shares = [jobs[i :: len(self.pipes)] for i in range(len(self.pipes))]
        found: list[Any] = [None] * len(jobs)
        try:
            for pipe, share in zip(self.pipes, shares, strict=True):
                pipe.send((on_host(xp, share), given))
            for i, pipe in enumerate(self.pipes):
                answer = pipe.recv()
                if isinstance(answer, Exception):
                    raise answer
                found[i :: len(self.pipes)] = [tree.map(xp.asarray, moved) for moved in answer]
        except (EOFError, OSError) as error:
            close(self.pipes)
            raise RuntimeError(
                "a process of the chains has ended: its own message stands above; it must be able to import what the "
                "model is made of, and a script needs if __name__ == '__main__'; workers=0 needs no processes"
            ) from error
        return found

    def start(self, sampler: Any, count: int) -> None:
        """Start the processes with a copy of the sampler."""
        self.sent = None
        context = multiprocessing.get_context("spawn")
        for _ in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=serve, args=(theirs,), daemon=True)
            process.start()
            theirs.close()
            self.pipes.append(ours)
            ours.send((sampler.alone(), sampler.xp.threads))
        weakref.finalize(self, close, self.pipes)


def close(pipes: list[Connection]) -> None:
    """End the processes at the other ends."""
    while pipes:
        pipes.pop().close()


def serve(pipe: Connection) -> None:
    """What a process does until its pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that holds the chains
    sampler, threads = pipe.recv()
    xp: Backend = sampler.xp
    xp.use_threads(threads)
    arguments: Any = None
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            jobs, changed = pipe.recv()
            try:
                with xp.scope():
                    if changed is not None:
                        arguments = tree.map(xp.asarray, changed)
                    answer: Any = on_host(xp, sampler.advance(tree.map(xp.asarray, jobs), arguments))
            except Exception as error:
                answer = error
            pipe.send(answer)


def on_host(xp: Backend, arrays: Any) -> Any:
    """A tree of NumPy arrays."""
    return tree.map(lambda a: np.asarray(xp.to_numpy(a)), arrays)
