"""The measurements: each a function of its `Effort` that gives what the page of speed is made from."""

from __future__ import annotations

import importlib.util
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.contenders import CONTENDERS, FRAMEWORKS, OTHERS, STEPS
from benchmarks.peers import PEERS
from benchmarks.processes import call, work
from benchmarks.rounds import calibrated, measure
from benchmarks.shapes import SHAPES

RULE_SHAPE = (8, 100, 40, 64, 10)
"""(batch, time, inputs, hidden, outputs) of the step by every rule."""
RATE = 0.05
RATES = (0.01, 0.05, 0.1, 0.2)
LENGTHS, WIDTHS = (250, 1000, 4000, 16000), (128, 256, 512, 1024, 2048)
COMPARED = ((128, 28, 28, 128, 10), (32, 300, 39, 128, 10))
TORCH = ["torch by hand", "torch BPTT", "torch e-prop", "torch chunk=64"]
PLAIN = [name for name in CONTENDERS if name.endswith("no kernels")]


@dataclass(frozen=True)
class Effort:
    """How many rounds, seconds a case in a round, whether only the smallest cases are measured, and who is left out."""

    rounds: int
    seconds: float
    quick: bool
    say: Callable[[str], None]
    without: tuple[str, ...] = ()

    def few(self, items: Any) -> list[Any]:
        """All items, or the first two."""
        return list(items)[:2] if self.quick else list(items)

    def measure(self, contenders: list[str], shapes: Any, rates: Any = (RATE,), threads: int = 1) -> dict[str, Any]:
        cases = [{"shape": list(shape), "rate": rate} for shape in shapes for rate in rates]
        contenders = [name for name in contenders if name not in self.without]
        return measure(contenders, cases, self.rounds, self.seconds, self.say, threads)


def speed(effort: Effort) -> dict[str, Any]:
    """A training step by every contender."""
    found = effort.measure([*STEPS], effort.few(SHAPES))
    return found | {"missing": {name: peer.missing for name, peer in PEERS.items() if not peer.installed}}


def rates(effort: Effort) -> dict[str, Any]:
    """The same on PyTorch at other firing rates."""
    names = ["torch by hand", "torch products of e-prop", "torch products of BPTT", "torch BPTT", "torch e-prop"]
    return effort.measure([*names, "torch e-prop, no kernels"], effort.few(SHAPES), effort.few(RATES))


def updates(effort: Effort) -> dict[str, Any]:
    """Pulses to devices and a chain's transitions beside Adam and the gradient alone."""
    return effort.measure(["torch e-prop", *OTHERS], effort.few(SHAPES))


def sampling(effort: Effort) -> list[dict[str, Any]]:
    """Effective draws per second beside blackjax; nothing where it is not installed."""
    if importlib.util.find_spec("blackjax") is None:
        return []
    return call("sampling", effort.rounds + 4, 500 if effort.quick else 5000)


def length(effort: Effort) -> dict[str, Any]:
    """Growth with T at batch 8 and 200 neurons."""
    names = [*TORCH, "torch e-prop, no kernels", "jax e-prop"]
    return effort.measure(names, [(8, steps, 39, 200, 61) for steps in effort.few(LENGTHS)])


def width(effort: Effort) -> dict[str, Any]:
    """Growth with n at batch 8 and 300 steps."""
    names = [*TORCH, "torch e-prop, no kernels", "torch chunk=64, no kernels", "jax e-prop"]
    return effort.measure(names, [(8, 300, 39, n, 61) for n in effort.few(WIDTHS)])


def memory(effort: Effort) -> list[dict[str, Any]]:
    """Peak memory of two steps, and of a process that has only built a network of one time step."""
    names = [*TORCH, *PLAIN, *(f"jax {way}" for way in ("BPTT", "e-prop", "chunk=64"))]
    shapes = [(8, steps, 39, 200, 61) for steps in effort.few((1000, 4000, 16000))]
    shapes += [] if effort.quick else [(8, steps, 39, 2048, 61) for steps in (1000, 2000)]
    cases = calibrated(names, [{"shape": list(shape), "rate": RATE} for shape in shapes])
    rows = []
    for name in names:
        of = cases[CONTENDERS[name].network]
        idle = {}
        for case in of:
            batch, _, *rest = case["shape"]
            width = rest[1]
            if width not in idle:
                idle[width] = work(name, "memory", cases=[case | {"shape": [batch, 1, *rest]}], steps=0)
            peak = work(name, "memory", cases=[case], steps=2)
            rows.append({"contender": name, "shape": case["shape"], "peak": peak, "idle": idle[width]})
        effort.say(name)
    return rows


def first(effort: Effort) -> dict[str, list[dict[str, float]]]:
    """The first step of a process at the second shape, with the kernels' cache as it is and with an empty one."""
    ways = {
        "torch by hand": ("torch by hand", False),
        "torch e-prop, kernels in the cache": ("torch e-prop", False),
        "torch e-prop, empty cache": ("torch e-prop", True),
        "torch e-prop, no kernels": ("torch e-prop, no kernels", False),
        "jax by hand": ("jax by hand", False),
        "jax e-prop": ("jax e-prop", False),
    }
    (case,) = calibrated(["torch by hand"], [{"shape": list(SHAPES[1]), "rate": RATE}])["alif"]
    found: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    work("torch e-prop", "first", cases=[case], began=time.time())  # which fills the cache
    for _ in range(effort.rounds):
        for way, (name, empty) in ways.items():
            with tempfile.TemporaryDirectory() as folder:
                cache = {"NEKO_KERNEL_CACHE": folder} if empty else {}
                found[way].append(work(name, "first", environment=cache, cases=[case], began=time.time()))
    return found


def threads(effort: Effort) -> dict[str, Any]:
    """One thread and two on the longer shapes."""
    names = ["torch by hand", "torch BPTT", "torch e-prop", "torch e-prop, no kernels", "jax e-prop"]
    return {
        str(count): effort.measure(names, SHAPES[1:2] if effort.quick else SHAPES[1:], threads=count)
        for count in (1, 2)
    }


def rules(effort: Effort) -> dict[str, Any]:
    """A training step by every rule of the registry, and its peak memory."""
    from neko.rules import RULES

    shape = (4, 10, 4, 8, 3) if effort.quick else RULE_SHAPE
    rows: dict[str, list[list[dict[str, Any]]]] = {}
    failed: dict[str, str] = {}
    for number in range(effort.rounds):
        for name in RULES:
            row = {} if name in failed else call("rules", name, shape, effort.seconds)
            if "refused" in row:
                failed[name] = row["refused"]
            elif row:
                rows.setdefault(name, [[]])[0].append(row)
            effort.say(f"round {number + 1} of {effort.rounds}, {name}")
    idle = call("rules", None, shape, effort.seconds)["peak"]
    return {"shape": list(shape), "rounds": effort.rounds, "rows": rows, "idle": idle, "failed": failed}


def comparison(effort: Effort) -> list[dict[str, Any]]:
    """A comparison of six rules beside the gradients of each alone."""
    rows = []
    for backend in effort.few(FRAMEWORKS)[:1] if effort.quick else FRAMEWORKS:
        for shape in effort.few(COMPARED):
            rows.append(
                {"backend": backend, "shape": list(shape), **call("comparing", backend, shape, 5 * effort.rounds)}
            )
            effort.say(f"{backend}, {shape}")
    return rows


def encoders(effort: Effort) -> list[dict[str, Any]]:
    """What encoding costs."""
    return call("encoders")


def feeding(effort: Effort) -> dict[str, Any]:
    """What an epoch of MNIST costs; nothing where its files are not at hand."""
    if not (Path(os.environ.get("NEKO_DATA", "")) / "mnist").is_dir():
        return {}
    return {name: call("feeding", name, 1 if effort.quick else 5) for name in effort.few(FRAMEWORKS)}


def sweeps(effort: Effort) -> dict[str, Any]:
    """What a sweep costs beyond its runs."""
    return call("sweeps", *((1, 2) if effort.quick else ()))


def imports(effort: Effort) -> dict[str, float]:
    """What ``import neko`` costs."""
    return call("import_time", 5 if effort.quick else 21)


SECTIONS = {
    "speed": speed,
    "rates": rates,
    "updates": updates,
    "sampling": sampling,
    "length": length,
    "width": width,
    "memory": memory,
    "first": first,
    "threads": threads,
    "rules": rules,
    "comparison": comparison,
    "encoders": encoders,
    "feeding": feeding,
    "sweeps": sweeps,
    "imports": imports,
}
