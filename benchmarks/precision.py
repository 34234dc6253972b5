"""What mixed precision and compilation do to the time of a step: ``python -m benchmarks.precision``.

Two ways of the same step in turn, each round giving the ratio of their CPU times, so that other work on the machine
meets both; the median over rounds, where more than 1 means that the second way is faster. One thread of PyTorch.
"""

from __future__ import annotations

import os
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

TIME, BATCH, N_IN, CLASSES = 100, 64, 128, 10
HIDDEN = (128, 512)
ROUNDS = 9


def measure(rounds: int = ROUNDS, hidden: tuple[int, ...] = HIDDEN) -> dict[str, float]:
    """The ratio of every pair by name; a `neko.errors.PrecisionWarning` tells where bfloat16 can gain nothing."""
    import torch

    from neko import backend

    torch.set_num_threads(1)
    found = {"recurrent module: as it is / compiled": ratio(module(None), module(None, compile=True), rounds)}
    for n in hidden:
        mixed = eprop(backend.get("torch", products="bfloat16"), n)
        found[f"e-prop, torch, {n} neurons, bfloat16: plain / kernels"] = ratio(plain(mixed), mixed, rounds)
        for name in ("torch", "jax"):
            exact, mixed = (eprop(backend.get(name, products=p), n) for p in (None, "bfloat16"))
            found[f"e-prop, {name}, {n} neurons: float32 / bfloat16"] = ratio(exact, mixed, rounds)
        exact, mixed, compiled = module(n), module(n, products="bfloat16"), module(n, compile=True)
        found[f"module, {n} units: float32 / bfloat16"] = ratio(exact, mixed, rounds)
        found[f"module, {n} units: as it is / compiled"] = ratio(exact, compiled, rounds)
    exact, mixed = (eprop("tensorflow", hidden[0], jit=jit) for jit in (True, "xla"))
    found[f"e-prop, tensorflow, {hidden[0]} neurons: graph / XLA"] = ratio(exact, mixed, rounds)
    return found


def data() -> tuple[np.ndarray, np.ndarray]:
    """Sparse spikes, and classes."""
    rng = np.random.default_rng(0)
    x = (rng.random((BATCH, TIME, N_IN)) < 0.05).astype(np.float32)
    return x, np.eye(CLASSES)[rng.integers(0, CLASSES, BATCH)]


def eprop(xp: Any, n: int, **options: Any) -> Callable[[], Any]:
    """A step of e-prop on a layer of ALIF neurons."""
    import neko

    model = neko.Evaluator(neko.ALIF(n, CLASSES, xp), loss="categorical_crossentropy")
    return stepping(neko.Eprop(model, **options))


def plain(run: Callable[[], Any]) -> Callable[[], Any]:
    """The same without generated kernels."""
    from neko.backend import generated

    def switched() -> Any:
        before, generated.SWITCH = generated.SWITCH, "off"
        try:
            return run()
        finally:
            generated.SWITCH = before

    return switched


def module(n: int | None, **options: Any) -> Callable[[], Any]:
    """A step of backpropagation on a user's module: three dense layers at every step of time, or for None a recurrent
    one of a few steps, written as a loop."""
    import torch

    import neko
    from neko.models import adapt

    if n is None:
        net: torch.nn.Module = recurrent()
    else:
        layers = [torch.nn.Linear(N_IN, n), torch.nn.ReLU(), torch.nn.Linear(n, n), torch.nn.ReLU()]
        net = torch.nn.Sequential(*layers, torch.nn.Linear(n, CLASSES))
    return stepping(neko.BPTT(neko.Evaluator(adapt(net, **options), loss="categorical_crossentropy")))


def recurrent() -> Any:
    """A module that reads the first ten steps."""
    import torch

    class Recurrent(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inwards, self.own = torch.nn.Linear(N_IN, HIDDEN[0]), torch.nn.Linear(HIDDEN[0], HIDDEN[0])
            self.out = torch.nn.Linear(HIDDEN[0], CLASSES)

        def forward(self, x: Any) -> Any:
            h = x.new_zeros(len(x), HIDDEN[0])
            for t in range(10):
                h = torch.tanh(self.inwards(x[:, t]) + self.own(h))
            return self.out(h)

    return Recurrent()


def stepping(rule: Any) -> Callable[[], Any]:
    x, y = data()
    return lambda: rule.step(x, y)


def ratio(first: Callable[[], Any], second: Callable[[], Any], rounds: int) -> float:
    """Median over rounds of the CPU time of one way over that of the other, after two steps of each."""
    for run in (first, second) * 2:
        run()
    return round(statistics.median(seconds(first) / seconds(second) for _ in range(rounds)), 2)


def seconds(run: Callable[[], Any]) -> float:
    begin = time.process_time()
    run()
    return time.process_time() - begin


if __name__ == "__main__":
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
    warnings.simplefilter("once")
    for name, value in measure().items():
        print(f"{name}: {value}")
