"""A training step copies nothing from the device to the host, on any backend."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import neko
from neko import backend as backends
from neko.backend.random import Random
from neko.devices import SoftBounds

RNG = np.random.default_rng(0)
X = (RNG.random((48, 6, 3)) < 0.5).astype(np.float32)
Y = np.eye(2, dtype=np.float32)[RNG.integers(2, size=48)]
MASK = np.ones((48, 6), np.float32)
MASK[::3, 4:] = 0.0
RULES = {
    "bptt": lambda model: neko.BPTT(model, clip_norm=1.0),
    "eprop:adaptive": lambda model: neko.Eprop(model, mode="adaptive", feedback_decay=1e-3),
    "online": lambda model: neko.Eprop(model, chunk=2, online=True, optimizer="sgd"),
    "device": lambda model: neko.Eprop(model, optimizer=neko.Manhattan(device=SoftBounds(dg_min_std=0.1))),
    "schedule": lambda model: neko.BPTT(model, learning_rate=neko.updates.Cosine(1e-2, 100)),
}
DOORS = {
    "torch": ("torch", "Tensor", ("numpy", "tolist", "item", "cpu", "__bool__", "__float__", "__int__", "__array__")),
    "jax": ("jaxlib._jax", "ArrayImpl", ("__array__", "__bool__", "__float__", "__int__", "item", "tolist")),
    "tensorflow": (
        "tensorflow.python.framework.ops",
        "_EagerTensorBase",
        ("numpy", "_numpy", "__array__", "__bool__", "__float__", "__int__", "__index__"),
    ),
}


class Spy:
    """Counts the copies to the host by every door of a framework's arrays.

    What `scalar` made is on the host already, and so are the counts of steps of torch's own optimizers.
    """

    def __init__(self, xp, monkeypatch):
        self.copies, self.on_host = [], []
        place, kind, names = DOORS[xp.name]
        owner = getattr(sys.modules[place], kind)
        for name in names:
            if hasattr(owner, name):
                self.watch(monkeypatch, owner, name)
        scalar = xp.scalar

        def noted(x):
            self.on_host.append(scalar(x))
            return self.on_host[-1]

        monkeypatch.setattr(xp, "scalar", noted, raising=False)

    def watch(self, monkeypatch, owner, name):
        original = getattr(owner, name)

        def watched(array, *args, **options):
            caller = sys._getframe(1).f_code.co_filename
            known = any(array is made for made in self.on_host)
            if not known and "/torch/optim/" not in caller and "/torch/_tensor.py" not in caller:
                self.copies.append(name)
            return original(array, *args, **options)

        monkeypatch.setattr(owner, name, watched)


# Where a framework compiles, the loop around the step is what could copy: one rule shows it.
CASES = [
    (backend, name)
    for backend in backends.installed()
    for name in (RULES if backend == "torch" else ("eprop:adaptive",))
]


@pytest.fixture(autouse=True)
def as_on_a_device(monkeypatch):
    """As if arrays were not on the host, where reading them copies nothing and kernels share their memory."""
    monkeypatch.setattr("neko.backend.generated.SWITCH", "off")
    if "torch" in backends.installed():
        xp = backends.get("torch")
        monkeypatch.setattr(xp, "on_host", False)
        monkeypatch.setattr(xp, "random", Random(xp, xp.random.word))


@pytest.mark.quick("torch")
@pytest.mark.filterwarnings("ignore::neko.errors.ActivityWarning")
@pytest.mark.parametrize(("backend", "name"), CASES)
def test_the_number_of_copies_does_not_depend_on_the_number_of_steps(backend, name, monkeypatch):
    model = neko.Evaluator(neko.LIF(4, 2, backend, v_th=0.4), "categorical_crossentropy", ["accuracy", "firing_rate"])
    trainer = neko.Trainer(RULES[name](model))

    def train(examples):
        data = (X[:examples], Y[:examples], MASK[:examples]) if name != "online" else (X[:examples], Y[:examples])
        trainer.train(*data, batch_size=2, shuffle=False, progress=False)

    train(4)  # which compiles
    found = []
    with monkeypatch.context() as patch:
        spy = Spy(model.xp, patch)
        for examples in (8, 48):
            spy.copies.clear()
            train(examples)
            found.append(list(spy.copies))
    assert len(found[0]) >= 2, "an epoch's measures are copied once: the spy sees that"
    assert len(found[1]) == len(found[0]), (found[0], found[1])
