"""A run that is stopped anywhere and gone on with is the run that was never stopped, bit for bit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import neko
from neko import backend as backends
from neko.errors import CheckpointError
from neko.models import weights as checkpoint
from neko.training.callbacks import Callback

import runs

EPOCHS = 6
MANY = int(os.environ.get("NEKO_KILLS", "50"))
"""Kills on each backend; `make kills` has 200."""
KILLS = Path(__file__).with_name("kills.py")
COMPILED = {"langevin", "comparison", "devices", "imperfections", "sgld"}  # slow to compile; `make proofs` runs them
SIMILAR = {"comparison", "hmc", "imperfections", "kernl", "online", "reward_stdp", "rtrl", "schedule"}
SIMILAR |= {"keras with tf.data"}
"""Kinds whose way to go on another kind has too."""


class Stop(Callback):
    """Fails at a batch, after it was learnt and kept."""

    order = 2

    def __init__(self, batch, epoch):
        self.at = epoch, batch

    def batch(self, loop):
        if (loop.epoch, loop.batch) == self.at:
            raise ZeroDivisionError

    def epoch(self, loop):
        self.batch(loop)


def interrupted(kind, backend, folder):
    """Runs that stop within an epoch and between two, and one that comes to the end."""
    for epoch, batch in ((1, 2), (4, 0)):
        if kind in (*runs.SAMPLING, "comparison"):
            batch = 0
        with pytest.raises(ZeroDivisionError):
            runs.run(kind, backend, folder, Stop(batch, epoch), epochs=EPOCHS)
    return runs.run(kind, backend, folder, Stop(-1, -1), epochs=EPOCHS)


TRACED = {("tensorflow", "stream"), ("tensorflow", "schedule"), ("tensorflow", "eprop")} | {
    ("jax", kind) for kind in ("stream", "schedule", "optax object")
}
"""What takes longest to trace; JAX runs a schedule, which is a stream too."""


def marked():
    for kind, backend in runs.KINDS:
        if backend in backends.installed():
            left = backend != "torch" and (kind in COMPILED or (backend, kind) in TRACED)
            slow = [pytest.mark.slow] if left or kind in SIMILAR else []
            yield pytest.param(kind, backend, marks=slow, id=f"{backend}, {kind}")


@pytest.mark.parametrize(("kind", "backend"), list(marked()))
def test_going_on_equals_never_having_stopped(kind, backend, tmp_path):
    whole = runs.run(kind, backend, tmp_path / "whole", Stop(-1, -1), epochs=EPOCHS)
    resumed = interrupted(kind, backend, tmp_path / "stopped")
    assert runs.last(tmp_path / "stopped") == runs.last(tmp_path / "whole")
    assert resumed.history == whole.history or repr(resumed.history) == repr(whole.history)
    for name, w in whole.rule.model.params.items():
        own = resumed.rule.model
        assert np.array_equal(own.xp.to_numpy(own.params[name]), own.xp.to_numpy(w)), name
    if hasattr(whole.rule, "posterior"):
        for name, draws in whole.rule.posterior.draws.items():
            assert np.array_equal(resumed.rule.posterior.draws[name], draws), name


def test_the_states_matter(tmp_path):
    """The control: without what a checkpoint holds beside the parameters a run goes on otherwise."""
    runs.run("eprop", "torch", tmp_path / "whole", epochs=EPOCHS)
    runs.run("eprop", "torch", tmp_path / "part", epochs=3)
    trainer = runs.trainer_of("eprop", "torch")
    checkpoint.load_weights(trainer.rule.model, checkpoint.listed(tmp_path / "part")[-1])
    trainer.train(**runs.data_of("eprop"), epochs=EPOCHS - 3, progress=False)
    found = {name: w.numpy() for name, w in trainer.rule.model.params.items()}
    truth = checkpoint.read(checkpoint.listed(tmp_path / "whole")[-1])["learner"]["params"]
    assert any(not np.array_equal(found[name], truth[name]) for name in truth)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda: neko.Eprop(runs.evaluator_of("torch"), mode="random"), "rule='eprop:adaptive'.*'eprop:random'"),
        (lambda: neko.BPTT(runs.evaluator_of("torch")), "rule="),
        (lambda: neko.Eprop(runs.evaluator_of("torch"), mode="adaptive", optimizer="naive"), "optimizer="),
        (
            lambda: neko.Eprop(neko.Evaluator(neko.ALIF(8, 3, "torch"), "categorical_crossentropy"), mode="adaptive"),
            r"model\.cells\.0\.units=16: this run has 8",
        ),
        (
            lambda: neko.Eprop(neko.Evaluator(neko.ALIF(16, 3, "torch", tau_m=20.0, dt=2.0), "mse"), mode="adaptive"),
            "objective.loss.name='categorical_crossentropy': this run has",
        ),
    ],
)
def test_another_run_is_refused(change, words, tmp_path):
    runs.run("eprop", "torch", tmp_path, epochs=1)
    callbacks = [neko.EarlyStopping(), neko.Checkpoints(tmp_path, resume=True)]
    with pytest.raises(CheckpointError, match=words):
        neko.Trainer(change()).train(**runs.data_of("eprop"), epochs=2, callbacks=callbacks, progress=False)


def test_other_data_or_callbacks_are_refused(tmp_path):
    runs.run("eprop", "torch", tmp_path, epochs=1)
    keep, (x, y) = neko.Checkpoints(tmp_path, resume=True), runs.arrays()

    def go_on(x, y, callbacks, **options):
        trainer = runs.trainer_of("eprop", "torch")
        return trainer.train(x, y, epochs=2, callbacks=callbacks, progress=False, **options)

    both = [neko.EarlyStopping(), keep]
    with pytest.raises(CheckpointError, match=r"data.batch_size=4: this run has 128"):
        go_on(x, y, both, seed=3)
    with pytest.raises(CheckpointError, match=r"data.seed=3: this run has 0"):
        go_on(x, y, both, batch_size=4)
    with pytest.raises(CheckpointError, match=r"data.examples=24: this run has 8"):
        go_on(x[:8], y[:8], both, batch_size=4, seed=3)
    with pytest.raises(CheckpointError, match="callbacks"):
        go_on(x, y, [keep], batch_size=4, seed=3)
    with pytest.raises(CheckpointError, match="expected resume=True"):
        go_on(x, y, [neko.Checkpoints(tmp_path)])
    runs.run("eprop", "torch", tmp_path, epochs=3)
    with pytest.raises(CheckpointError, match="asks for 1"):
        runs.run("eprop", "torch", tmp_path, epochs=1)


def test_a_damaged_last_checkpoint_is_named(tmp_path):
    runs.run("eprop", "torch", tmp_path, epochs=1)
    file = checkpoint.listed(tmp_path)[-1]
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=f"{file.name}.*truncated"):
        runs.run("eprop", "torch", tmp_path, epochs=2)
    file.unlink()
    runs.run("eprop", "torch", tmp_path, epochs=2)


def kill(kind, backend, tmp_path, kills):
    """In a process of its own: a server that forks must not be a test worker."""
    program = f"import kills; print(kills.survive({kind!r}, {backend!r}, {str(tmp_path)!r}, {kills}))"
    command = [sys.executable, "-c", program]
    limit = 60.0 * max(kills, 50)
    done = subprocess.run(command, cwd=KILLS.parent, capture_output=True, text=True, timeout=limit, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return int(done.stdout)


@pytest.mark.slow
def test_a_killed_run_goes_on_bit_for_bit(tmp_path):
    assert kill("eprop", "torch", tmp_path, 1) >= 1


@pytest.mark.slow
@pytest.mark.parametrize("backend", backends.installed())
def test_many_kills(backend, tmp_path):
    """In 50 kills 8.6 ± 1.4 runs come to their end, whatever the machine's speed, and fewer than 4 by a chance of 3e-7;
    of runs that begin anew instead of going on 4 end by a chance of 3e-4. Of more kills it is as large a part.
    """
    assert kill("eprop", backend, tmp_path, MANY) >= MANY * 4 // 50


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["devices", "langevin", "module with a loader"])
def test_kills_of_other_kinds(kind, tmp_path):
    assert kill(kind, "torch", tmp_path, 10) >= 1
