"""Worker processes of this machine, each of which runs one trial after the other."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from typing import Any

from neko.sweeps.trial import Outcome, Trial, failed, perform


class Worker:
    """A process with its pipe, and the trial that it runs."""

    def __init__(self, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=serve, args=(theirs,))
        with starting(threads):
            self.process.start()
        theirs.close()
        self.trial: Trial | None = None

    def submit(self, trial: Trial) -> None:
        self.trial = trial
        with contextlib.suppress(OSError):  # it has ended, which `outcome` tells
            self.pipe.send(trial)

    def outcome(self, trial: Trial) -> Outcome:
        """How its trial ended, also where the process ended with it."""
        self.trial = None
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            told = f"its process ended with exit code {self.process.exitcode}, for lack of memory perhaps"
            return failed(trial, RuntimeError(told))


class Processes:
    """Up to `count` worker processes, started when they are needed, which load a framework once and then keep it.

    They are spawned, with `threads` threads each; by default so many that each core has a thread. A worker ends with
    this process, however that ends.
    """

    def __init__(self, count: int | None, threads: int) -> None:
        self.count = max(1, cores() // threads) if count is None else count
        self.threads = threads
        self.workers: list[Worker] = []

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        """Ends all workers; after Ctrl-C they write a checkpoint after the present batch, a second one ends them."""
        try:
            for worker in self.workers:
                worker.pipe.close()
                if worker.trial is not None and worker.process.pid is not None:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(worker.process.pid, signal.SIGINT if kind is KeyboardInterrupt else signal.SIGTERM)
            for worker in self.workers:
                worker.process.join()
        except KeyboardInterrupt:
            for worker in self.workers:
                worker.process.kill()
            raise

    @property
    def running(self) -> list[Trial]:
        return [worker.trial for worker in self.workers if worker.trial is not None]

    @property
    def free(self) -> bool:
        return len(self.running) < self.count

    def submit(self, trial: Trial) -> None:
        idle = [worker for worker in self.workers if worker.trial is None]
        if not idle:
            idle = [Worker(self.threads)]
            self.workers += idle
        idle[0].submit(trial)

    def next(self) -> tuple[Trial, Outcome]:
        """Wait for a trial that ends."""
        busy = {worker.pipe: (worker, worker.trial) for worker in self.workers if worker.trial is not None}
        worker, trial = next(found for pipe, found in busy.items() if pipe in connection.wait([*busy]))
        outcome = worker.outcome(trial)
        if worker.process.exitcode is not None:
            self.workers.remove(worker)
        return trial, outcome


def cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def limits(threads: int) -> dict[str, str]:
    """Environment variables that keep the libraries below a framework to so many threads."""
    count = str(threads)
    names = ("OMP", "MKL", "OPENBLAS", "NUMBA", "VECLIB_MAXIMUM", "TF_NUM_INTEROP", "TF_NUM_INTRAOP")
    eigen = f"--xla_cpu_multi_thread_eigen={'true' if threads > 1 else 'false'}"
    flags = f"{os.environ.get('XLA_FLAGS', '')} {eigen} intra_op_parallelism_threads={count}".strip()
    return {f"{name}_{'' if name.startswith('TF_') else 'NUM_'}THREADS": count for name in names} | {"XLA_FLAGS": flags}


@contextlib.contextmanager
def starting(threads: int) -> Iterator[None]:
    """What a new process inherits: its number of threads, and deafness to Ctrl-C until it listens itself."""
    changed, own = limits(threads), threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if own else None
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        if own:
            signal.signal(signal.SIGINT, handler)


def serve(pipe: connection.Connection) -> None:
    """What a worker does until its pipe is closed."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    if hasattr(os, "setpgrp"):  # Ctrl-C in a terminal reaches the sweep alone, which passes it on
        os.setpgrp()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with contextlib.suppress(EOFError, OSError, KeyboardInterrupt):
        while True:
            trial = pipe.recv()
            try:
                outcome = perform(trial)
            except Exception as error:  # its folder cannot even be written
                outcome = failed(trial, error)
            pipe.send(outcome)


def end_with_parent() -> None:
    """End this process when the one that started it has ended, so that no two sweeps write one folder."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
