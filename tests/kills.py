"""Runs that are killed, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import runs

LONG = 120.0
"""Seconds after which a run that nobody kills has failed."""


def server(backend):
    """A place to fork processes from that has the framework loaded and nothing started."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["runs", "neko.rules", "neko.trainer", f"neko.backend._{backend}"])
    return context


def survive(kind, backend, folder, kills, seed=0):
    """Kill runs at random moments, each going on where the one before was killed, until `kills` have hit.

    A run that comes to its end is compared with one that was never killed, and the next one starts anew. Returns the
    number of runs that came to an end, all of which were equal bit for bit.
    """
    context, rng, folder = server(backend), random.Random(seed), Path(folder)
    finish(context, kind, backend, folder / "whole")
    begin = time.perf_counter()
    finish(context, kind, backend, folder / "again")
    lasting = time.perf_counter() - begin
    truth = runs.last(folder / "whole")
    assert runs.last(folder / "again") == truth, "two runs without a kill differ"
    hits, ended = 0, 0
    while hits < kills or not ended:
        place = folder / f"killed-{ended}"
        process = context.Process(target=runs.run, args=(kind, backend, place))
        process.start()
        process.join(rng.uniform(0.0, lasting) if hits < kills else LONG)
        if process.exitcode is None:
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            hits += 1
            continue
        assert process.exitcode == 0, f"a run after {hits} kills ended with {process.exitcode}"
        assert runs.last(place) == truth, f"a run after {hits} kills differs"
        ended += 1
    return ended


def finish(context, kind, backend, place):
    """A run that nobody kills."""
    process = context.Process(target=runs.run, args=(kind, backend, place))
    process.start()
    process.join(LONG)
    assert process.exitcode == 0, process.exitcode
