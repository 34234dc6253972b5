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
EPOCHS = 20
EARLY = 5
"""Every fifth kill comes before the next checkpoint; the others come while batches are learnt."""


def server(backend):
    """A place to fork processes from that has the framework loaded and nothing started."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["runs", "neko.rules", "neko.training.trainer", f"neko.backend._{backend}"])
    return context


def survive(kind, backend, folder, kills, seed=0):
    """Kill runs at random moments, each going on where the one before was killed, until `kills` have hit.

    A moment is a random checkpoint of those to come, or the end, and a little later, so that kills hit whatever else
    slows the machine down. A run that comes to its end is compared with one that was never killed, and the next one
    starts anew. Returns the number of runs that came to an end, all of which were equal bit for bit.
    """
    context, rng, folder = server(backend), random.Random(seed), Path(folder)
    followed(context, kind, backend, folder / "whole")
    truth = runs.last(folder / "whole")
    beginning, training, order = followed(context, kind, backend, folder / "again")
    assert runs.last(folder / "again") == truth, "two runs without a kill differ"
    hits, ended = 0, 0
    while hits < kills or not ended:
        place = folder / f"killed-{ended}"
        last = newest(place)
        process = start(context, kind, backend, place)
        if hits < kills and hits % EARLY == 0:
            await_checkpoint(process, place, last + "\0", rng.uniform(0.0, 1.2 * beginning))
        elif hits < kills and (moment := rng.choice([*(name for name in order if name > last), None])):
            await_checkpoint(process, place, moment)
            process.join(rng.uniform(0.0, training / len(order)))
        else:
            process.join(LONG)
            assert process.exitcode is not None, f"a run after {hits} kills does not end"
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


def await_checkpoint(process, place, name, seconds=LONG):
    """Wait until this checkpoint is there, or a later one, or the process has ended, or so many seconds are over."""
    end = time.perf_counter() + seconds
    while process.exitcode is None and newest(place) < name and time.perf_counter() < end:
        process.join(0.002)


def newest(place):
    """The name of the last checkpoint of a folder, '' if there is none."""
    return max((file.name for file in checkpoint.listed(place)), default="")


def followed(context, kind, backend, place):
    """A run that nobody kills: seconds to the first checkpoint, and from there to the end, and the checkpoints seen."""
    begin = first = time.perf_counter()
    process, order = start(context, kind, backend, place), []
    while process.exitcode is None and time.perf_counter() < begin + LONG:
        process.join(0.002)
        name = newest(place)
        if name and name not in order[-1:]:
            first = first if order else time.perf_counter()
            order.append(name)
    assert process.exitcode == 0, process.exitcode
    return first - begin, time.perf_counter() - first, order
