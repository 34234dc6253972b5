"""Training by several processes on this machine; as a script, what each process of a test does."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np

TESTS = Path(__file__).parent
TIME, N_IN, CLASSES, BATCH = 12, 5, 3, 7
SIZE = {"reward_stdp": 2 * BATCH + 2}
"""Parts are of unequal size. By default the last batch has one example, which two processes cannot divide; a baseline
over the batch needs two."""


def rules():
    """Every rule, and what depends on the whole batch in another way, by name."""
    from neko.rules import RULES

    modes = ["eprop:random", "eprop:adaptive"]
    return [*RULES, *modes, "online", "per sequence", "last", "mean", "sum", "devices", "clipped"]


def data(name):
    size, rng = SIZE.get(name, 2 * BATCH + 1), np.random.default_rng(3)
    x = (rng.random((size, TIME, N_IN)) < 0.3).astype(float)
    mask = (np.arange(TIME)[None] < rng.integers(4, TIME + 1, size)[:, None]).astype(float)
    return x, np.eye(CLASSES)[rng.integers(CLASSES, size=size)], mask


def learner(name, backend):
    """A fresh rule of a name of `rules`."""
    import neko
    from neko.devices import SoftBounds
    from neko.training.pairs import resolve

    options = {"target": name} if name in ("last", "mean") else {"reduction": "sum"} if name == "sum" else {}
    if name == "reward_stdp":
        options["target"] = "last"
    regularizer = neko.FiringRate(target=20.0, strength=5.0, per_sequence=name == "per sequence")
    xp = neko.backend.get(backend, dtype="float64")
    model = neko.Evaluator(
        neko.LIF(8, CLASSES, xp, tau_m=10.0, v_th=0.6, seed=1),
        loss="categorical_crossentropy",
        metrics=["accuracy", "firing_rate"],
        regularizer=None if "stdp" in name else regularizer,
        **options,
    )
    if name == "online":
        return neko.Eprop(model, mode="random", chunk=4, online=True, optimizer="adam", learning_rate=0.01)
    if name == "devices":
        device = SoftBounds(dg_min_std=0.3, dg_min_dtod=0.2)
        return neko.Eprop(model, optimizer=neko.MixedPrecision(device=device, optimizer="adam", learning_rate=0.01))
    if name == "clipped":
        return neko.BPTT(model, clip_norm=0.01, optimizer="momentum", learning_rate=0.5)
    rule = name if name.partition(":")[0] in neko.rules.RULES else "eprop"
    return resolve(rule)(model, optimizer="sgd", learning_rate=0.05)


def train(name, backend, **options):
    """Parameters, feedback and history after two epochs, as arrays by name."""
    import neko

    rule = learner(name, backend)
    x, y, mask = data(name)
    validation = [(x, y, mask), (x[:1], y[:1], mask[:1])] if name == "bptt" else (x, y, mask)
    history = neko.Trainer(rule).train(
        x, y, mask, epochs=2, batch_size=BATCH, validation=validation, progress=False, **options
    )
    weights = {**rule.model.params, **rule.feedback}
    return {
        **{n: np.asarray(rule.xp.to_numpy(a)) for n, a in weights.items()},
        **{n: np.array(v) for n, v in history.items()},
    }


def port():
    """A free port."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


def launch(count, *arguments, script=__file__, wait=True, **variables):
    """Start a script, or a module after '-m', in processes as `torchrun` does; (exit code, output) of each."""
    started, common = [], {"WORLD_SIZE": count, "MASTER_ADDR": "localhost", "MASTER_PORT": port()}
    for rank in range(count):
        own = {**common, "RANK": rank, "LOCAL_RANK": rank, "JAX_PROCESS_ID": rank}
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}
        environment |= {name: str(value) for name, value in {**own, **variables}.items()}
        command = [sys.executable, *([] if script is None else [script]), *map(str, arguments)]
        started.append(
            subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=TESTS.parent
            )
        )
    return finished(started) if wait else started


def finished(started):
    """Exit code and output of processes; those that are left after three minutes are killed."""
    found = []
    for process in started:
        try:
            output, _ = process.communicate(timeout=180.0)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
        found.append((process.returncode, output))
    return found


def long_run(folder, epochs, slow=0.0, **options):
    """A run with a checkpoint after every second batch, and the history of its loss."""
    import time

    import neko

    class Wait(neko.callbacks.Callback):
        recorded = False

        def batch(self, loop):
            time.sleep(slow)

    rule = learner("eprop:random", "torch")
    kept = neko.callbacks.Checkpoints(folder, batches=2, keep=100, resume=True)
    history = neko.Trainer(rule).train(
        *data("long"), epochs=epochs, batch_size=BATCH, callbacks=[kept, Wait()], progress=False, **options
    )
    return history["loss"]


if __name__ == "__main__":
    import neko

    what, *arguments = sys.argv[1:]
    if what == "rules":
        backend, folder, *names = arguments
        neko.distributed.join(backend)
        for name in names:
            path = Path(folder) / f"{name.replace(':', '-')}-{os.environ.get('RANK', 0)}.npz"
            np.savez(path, **train(name, backend, distributed=True))
    else:
        folder, epochs, slow = arguments
        print(*map(repr, long_run(folder, int(epochs), float(slow), distributed=True)))
