"""Small runs of every kind, that may be stopped at any moment and gone on with."""

from __future__ import annotations

import functools
import json

import numpy as np

EPOCHS, EXAMPLES, TIME, N_IN, CLASSES, BATCH = 8, 24, 10, 5, 3, 4
EVERYWHERE = ("eprop", "devices", "stream", "schedule", "langevin", "sgld", "comparison")
ONLY = {
    "torch": (
        *("imperfections", "rtrl", "online", "kernl", "reward_stdp", "scheduler"),
        *("hmc", "random_walk", "psgld", "cyclical_sghmc"),
        *("module with a loader", "generator of the loader", "noisy loader"),
    ),
    "jax": ("optax object",),
    "tensorflow": ("keras with tf.data",),
}
"""Kinds of runs that one backend runs: what is special to it, or does not depend on it."""
KINDS = [(kind, backend) for backend, own in ONLY.items() for kind in (*EVERYWHERE, *own)]


SAMPLING = ("langevin", "hmc", "random_walk", "sgld", "psgld", "cyclical_sghmc")
"""Kinds whose checkpoints are between epochs only."""


def arrays():
    rng = np.random.default_rng(7)
    x = (rng.random((EXAMPLES, TIME, N_IN)) < 0.4).astype(np.float32)
    return x, np.eye(CLASSES, dtype=np.float32)[rng.integers(CLASSES, size=EXAMPLES)]


def evaluator_of(backend, model=None):
    import neko

    if model is None:
        model = neko.ALIF(16, CLASSES, backend, tau_m=20.0, dt=2.0, seed=1)
        return neko.Evaluator(model, loss="categorical_crossentropy", metrics=["accuracy", "firing_rate"])
    return neko.Evaluator(model, loss="categorical_crossentropy", metrics=["accuracy"])


def trainer_of(kind, backend):
    """A fresh trainer; of equal kinds they are equal."""
    import neko

    if kind == "comparison":
        primary = neko.Eprop(evaluator_of(backend), mode="random")
        followed = neko.GradientComparison(primary, ["bptt", "eprop:adaptive"], sync_feedback=False, every=2)
        return neko.Trainer(followed)
    return neko.Trainer(learner(kind, backend))


def learner(kind, backend):
    import neko
    from neko.devices import Drift, Endurance, Levels, ReadNoise, SingleDevice, SoftBounds, Stuck, WriteNoise
    from neko.updates.schedules import Cosine

    model = functools.partial(evaluator_of, backend)
    sampling = {"drift": neko.Eprop, "chains": 2, "warmup": 3, "x_pred": arrays()[0][:4]}
    if kind in ("eprop", "noisy loader"):
        return neko.Eprop(model(), mode="adaptive", feedback_decay=1e-3, clip_norm=1.0)
    if kind == "devices":
        device = SoftBounds(dg_min_std=0.3, dg_min_dtod=0.3)
        return neko.Eprop(model(), mode="random", optimizer=neko.Manhattan(device=device, accumulate=2))
    if kind == "imperfections":
        wrong = [Stuck(at_random=0.1), Endurance(9, spread=0.5), WriteNoise(0.3), ReadNoise(0.01), Drift(nu_dtod=0.01)]
        device = SoftBounds(dg_min_dtod=0.3, imperfections=[*wrong, Levels(64, stochastic=True)])
        pulses = neko.TikiTaka(device=SingleDevice(device), every=2, seconds=1e-3, digital=["*.b_out"])
        return neko.Eprop(model(), mode="random", optimizer=pulses)
    if kind == "stream":
        return neko.Eprop(model(), chunk=4, stream=True)
    if kind == "online":
        return neko.Eprop(model(), mode="adaptive", chunk=3, online=True, stream=True)
    if kind == "kernl":
        return neko.KeRNL(model(), chunk=3, online=True, stream=True)
    if kind == "reward_stdp":
        return neko.RewardSTDP(model(), baseline="running", optimizer="sgd", chunk=4, online=True, stream=True)
    if kind == "rtrl":
        return neko.RTRL(model())
    if kind == "schedule":
        return neko.BPTT(model(), optimizer="momentum", learning_rate=Cosine(0.1, 40), truncation=4, stream=True)
    if kind == "langevin":
        return neko.Langevin(model(), step_size=1e-4, **sampling)
    if kind == "hmc":
        return neko.HMC(model(), step_size=1e-2, **sampling)
    if kind == "random_walk":
        return neko.RandomWalk(model(), step_size=1e-2, **sampling)
    if kind == "sgld":
        return neko.SGLD(model(), step_size=1e-5, **sampling)
    if kind == "psgld":
        return neko.PSGLD(model(), **sampling)
    if kind == "cyclical_sghmc":
        return neko.CyclicalSGHMC(model(), step_size=1e-4, cycle_epochs=3, exploration=0.5, **sampling)
    if kind == "scheduler":
        import torch

        def decayed(params):
            return torch.optim.lr_scheduler.MultiStepLR(torch.optim.AdamW(params, lr=1e-2), [5, 11])

        return neko.BPTT(model(), optimizer=decayed)
    if kind == "optax object":
        import optax

        return neko.BPTT(model(), optimizer=optax.chain(optax.clip(1.0), optax.lion(1e-3)))
    if kind in ("module with a loader", "generator of the loader"):
        import torch

        torch.manual_seed(5)
        module = torch.nn.Sequential(
            torch.nn.Flatten(),
            torch.nn.Linear(TIME * N_IN, 12),
            torch.nn.BatchNorm1d(12),
            torch.nn.Dropout(0.3),
            torch.nn.Linear(12, CLASSES),
        )
        return neko.BPTT(model(module))
    if kind == "keras with tf.data":
        import keras

        keras.utils.set_random_seed(5)
        keras.utils.clear_session()  # layers are numbered from the start, as in a new process
        layers = keras.layers
        module = keras.Sequential([layers.Flatten(), layers.Dense(12), layers.Dropout(0.3), layers.Dense(CLASSES)])
        return neko.BPTT(model(module))
    raise ValueError(kind)


def data_of(kind):
    """What `Trainer.train` takes, besides its options."""
    x, y = arrays()
    if kind == "noisy loader":
        import torch

        np.random.seed(13)  # of a new run; one that goes on takes its own state back
        torch.manual_seed(13)
        return {"x": torch.utils.data.DataLoader(Noisy(x, y), batch_size=BATCH, shuffle=True)}
    if kind in ("module with a loader", "generator of the loader"):
        import torch

        generator = torch.Generator().manual_seed(11) if kind == "generator of the loader" else None
        tensors = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
        return {"x": torch.utils.data.DataLoader(tensors, batch_size=BATCH, shuffle=True, generator=generator)}
    if kind == "keras with tf.data":
        import tensorflow as tf

        return {"x": tf.data.Dataset.from_tensor_slices((x, y)).shuffle(EXAMPLES, seed=3).batch(BATCH)}
    return {"x": x, "y": y, "batch_size": BATCH, "seed": 3}


class Noisy:
    """A data set that draws from NumPy's global generator whenever an example is taken."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i] * np.random.rand(), self.y[i]


def drawing():
    """A callback that draws from the same generator between two batches."""
    import neko

    class Drawing(neko.callbacks.Callback):
        def batch(self, loop):
            np.random.rand()

    return Drawing()


def run(kind, backend, folder, *others, epochs=EPOCHS):
    """Train to the end, from the last checkpoint of the folder on."""
    import neko

    trainer = trainer_of(kind, backend)
    stopping = neko.EarlyStopping("val_loss", patience=100, restore_best=True)
    keep = neko.Checkpoints(folder, batches=1, keep=2, resume=True)
    options = data_of(kind)
    validation = arrays()
    callbacks = [keep, stopping, *others, *([drawing()] if kind == "noisy loader" else [])]
    trainer.train(**options, epochs=epochs, validation=validation, callbacks=callbacks, progress=False)
    return trainer


def last(folder):
    """The last checkpoint: parameters, feedback, update, totals, history, position, callbacks, data.

    Without the states of the global generators, where a process that was not seeded starts elsewhere.
    """
    from neko.io import checkpoint

    tensors = {}
    state = checkpoint.read(checkpoint.listed(folder)[-1])
    del state["random"], state["ahead"]
    for name in ("first", "start"):
        state["source"].pop(name, None)
    words = json.dumps(checkpoint.split(state, "", tensors), sort_keys=True)
    return words, {name: (a.dtype, a.shape, a.tobytes()) for name, a in tensors.items()}
