"""Runs that are killed, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

from neko.io import checkpoint

import runs

LONG = 120.0
"""Seconds after which a run that nobody kills has failed."""
EPOCHS = 60
"""So many that training takes longer than its beginning."""
EARLY = 5
"""Every fifth kill comes before the first batch is done, or about then; the others come while batches are learnt."""


def server(backend):
    """A place to fork processes from that has the framework loaded and nothing started."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["runs", "neko.rules", "neko.training.trainer", f"neko.backend._{backend}"])
    return context


def survive(kind, backend, folder, kills, seed=0):
    """Kill runs at random moments, each going on where the one before was killed, until `kills` have hit.

    A run that comes to its end is compared with one that was never killed, and the next one starts anew. Returns the
    number of runs that came to an end, all of which were equal bit for bit.
    """
    context, rng, folder = server(backend), random.Random(seed), Path(folder)
    beginning, training = lasting(context, kind, backend, folder / "whole")
    truth = runs.last(folder / "whole")
    lasting(context, kind, backend, folder / "again")
    assert runs.last(folder / "again") == truth, "two runs without a kill differ"
    hits, ended = 0, 0
    while hits < kills or not ended:
        place = folder / f"killed-{ended}"
        process = start(context, kind, backend, place)
        if hits >= kills:
            process.join(LONG)
        elif hits % EARLY == 0:
            process.join(rng.uniform(0.0, 1.2 * beginning))
        else:
            await_batch(process, place)
            process.join(rng.uniform(0.0, training))
        if process.exitcode is None:
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            hits += 1
            continue
        assert process.exitcode == 0, f"a run after {hits} kills ended with {process.exitcode}"
        assert runs.last(place) == truth, f"a run after {hits} kills differs"
        ended += 1
    return ended


def start(context, kind, backend, place):
    """A run in a process of its own."""
    process = context.Process(target=runs.run, args=(kind, backend, place), kwargs={"epochs": EPOCHS})
    process.start()
    return process


def await_batch(process, place):
    """Wait until a checkpoint is there that was not, or the process has ended."""
    known = names(place)
    while process.exitcode is None and names(place) <= known:
        process.join(0.002)


def names(place):
    """The checkpoints of a folder."""
    return {file.name for file in checkpoint.listed(place)}


def lasting(context, kind, backend, place):
    """Seconds to the first batch, and from there to the end, of a run that nobody kills."""
    begin = time.perf_counter()
    process = start(context, kind, backend, place)
    await_batch(process, place)
    first = time.perf_counter()
    process.join(LONG)
    assert process.exitcode == 0, process.exitcode
    return first - begin, time.perf_counter() - first
