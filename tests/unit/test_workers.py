"""Chains in processes are the chains one after the other, bit for bit."""

from __future__ import annotations

import functools
import gc
import multiprocessing
import pickle

import numpy as np
import pytest

import neko
from neko import backend as backends
from neko.io import checkpoint

SAMPLERS = {
    "langevin": functools.partial(neko.Langevin, step_size=1e-3),
    "hmc": functools.partial(neko.HMC, step_size=0.02, leapfrog_steps=2),
    "block_gibbs": neko.BlockGibbs,
    "random_walk": functools.partial(neko.RandomWalk, step_size=1e-3),
    "sgld": functools.partial(neko.SGLD, step_size=1e-5),
}
QUICK = {("langevin", "torch")}
CASES = [
    pytest.param(name, backend, marks=() if (name, backend) in QUICK else pytest.mark.slow)
    for name in SAMPLERS
    for backend in backends.installed()
]


def data(examples=30):
    rng = np.random.default_rng(0)
    return rng.standard_normal((examples, 6, 4)), np.eye(2)[rng.integers(0, 2, examples)]


def made(name, backend, **options):
    """A sampler of three chains."""
    xp = backends.get(backend, dtype="float32")
    network = neko.Model(neko.cells.LIF(8, recurrent=False, v_th=0.5), 2, xp, seed=1)
    model = neko.Evaluator(network, loss="categorical_crossentropy")
    return SAMPLERS[name](model, chains=3, warmup=2, x_pred=data()[0][:3], **options)


def trained(sampler, epochs=5, **options):
    """The result of training: the history, and all that a checkpoint has."""
    x, y = data()
    history = neko.Trainer(sampler).train(x, y, batch_size=20, epochs=epochs, shuffle=False, progress=False, **options)
    return dict(history), sampler.exported()


def assert_same(found, expected):
    np.testing.assert_equal(found, expected)
    positions = [next(iter(chain["position"].values())) for chain in expected[1]["chains"]]
    assert not np.array_equal(positions[0], positions[1]), "chains are not copies of each other"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "backend"), CASES)
def test_chains_in_processes_are_the_chains_in_one(name, backend, tmp_path):
    """Also where a run goes on from a checkpoint with another number of processes."""
    expected = trained(made(name, backend))
    sampler = made(name, backend, workers=2)
    assert_same(trained(sampler, callbacks=[neko.Checkpoints(tmp_path)]), expected)
    assert len(sampler._workers.pipes) == 2
    for path in checkpoint.listed(tmp_path)[3:]:
        path.unlink()
    again = made(name, backend, workers=0)
    assert_same(trained(again, callbacks=[neko.Checkpoints(tmp_path, resume=True)]), expected)


def test_processes_have_the_threads_of_this_one():
    """Here sums over more than one thread; another number of threads may have other last bits."""
    torch = pytest.importorskip("torch")
    xp = backends.get("torch", dtype="float32")
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert xp.threads == 3
        xp.use_threads(before)
        assert torch.get_num_threads() == before
    finally:
        torch.set_num_threads(before)


@pytest.mark.slow
def test_processes_end_with_their_sampler_and_a_lost_one_is_told():
    x, y = data()
    before = set(multiprocessing.active_children())
    sampler = made("langevin", "torch", workers=2)
    trainer = neko.Trainer(sampler)
    trainer.train(x, y, progress=False)
    first, second = set(multiprocessing.active_children()) - before
    copied = pickle.loads(pickle.dumps(sampler))
    assert copied._workers.pipes == []
    first.kill()
    with pytest.raises(RuntimeError, match="a process of the chains has ended"):
        trainer.train(x, y, progress=False)
    second.join(timeout=60.0)
    assert second.exitcode == 0, "it has ended by itself"
    trainer.train(x, y, progress=False)
    again = set(multiprocessing.active_children()) - before
    assert len(again) == 2
    del trainer, sampler
    gc.collect()
    for process in again:
        process.join(timeout=60.0)
        assert process.exitcode == 0


def test_the_number_of_processes_is_a_number():
    with pytest.raises(ValueError, match="workers=-1"):
        made("langevin", "torch", workers=-1)
