"""Writes ``docs/speed.md`` from what was measured: ``python -m benchmarks.report``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.__main__ import load
from benchmarks.parts import PARTS

PAGE = Path(__file__).parent.parent / "docs" / "speed.md"

INTRODUCTION = """\
# Speed and memory

Every number of this page comes from `make bench`; `python -m benchmarks.report` wrote the page from
`benchmarks/results/speed.json`. What is measured is one whole training step: forward pass, cross entropy at every
step, gradient, Adam, in single precision, of a layer of recurrent ALIF neurons with a leaky readout.

- "By hand" is BPTT of the same network as one would write it in the framework: on PyTorch an eager loop with an
  `autograd.Function`, on JAX `lax.scan` and `jit`, on TensorFlow a `tf.while_loop` in a `tf.function`.
- "Products" are the matrix products of a step and nothing else, dense: those of BPTT, or those of e-prop, which does
  not carry errors back through the recurrent weights.
- "No kernels" is the library with `NEKO_KERNELS=off`: the same step without the kernels that are generated from the
  neuron's equations.
- Each contender runs in a process of its own, on one core with one thread, all in turn in a new order each round. A
  time is the median of its rounds, a ratio the median of the ratios within a round. CPU time is that of the process, so
  other work on the machine counts little; wall time is beside it.
- The threshold is set so that neurons spike in a stated fraction of time steps, found by bisection before the
  measurement, and the learning rate is so small that it stays there; the rate that was measured is shown.
- Contenders that compute the same network are checked to compute the same loss.
"""


def machine(kept: dict[str, Any]) -> str:
    """On what a section was measured."""
    m = kept["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in m["versions"].items() if version)
    return f"{m['cores']} cores of {m['cpu']}, {m['system']}; {versions}"


def page(results: dict[str, Any]) -> str:
    """The page of all sections that were measured."""
    found = {name: results[name] for name in PARTS if name in results and results[name]["found"]}
    usual = machine(next(iter(found.values())))
    parts = [INTRODUCTION.rstrip(), f"Measured on {usual}."]
    for name, kept in found.items():
        other = "" if machine(kept) == usual else f", on {machine(kept)}"
        parts += PARTS[name](kept["found"])
        parts.append(f"`{kept['command']}`, {kept['machine']['date']}, {kept['took']:,} s{other}.")
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(load()), encoding="utf-8")
    print(f"wrote {PAGE}")
