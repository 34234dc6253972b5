"""Text of a cell's kernels from its graph, and its compilation by Numba, kept for the next process."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pooch
from numba.core.compiler import CompilerBase, DefaultPassBuilder

from neko.kernels import vector
from neko.kernels.derivative import needed, operands
from neko.kernels.trace import Graph

logger = logging.getLogger("neko.kernels")

# A NaN of either argument is kept by maximum and minimum, as in every framework: a comparison with it is false.
TEXTS = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "neg": "-{0}",
    "pow": "{0} ** {1}",
    "gt": "{0} > {1}",
    "ge": "{0} >= {1}",
    "lt": "{0} < {1}",
    "le": "{0} <= {1}",
    "eq": "{0} == {1}",
    "ne": "{0} != {1}",
    "and": "{0} & {1}",
    "or": "{0} | {1}",
    "not": "not {0}",
    "where": "{1} if {0} else {2}",
    "maximum": "{1} if ({0} <= {1}) | ({1} != {1}) else {0}",
    "minimum": "{1} if ({0} >= {1}) | ({1} != {1}) else {0}",
    "abs": "abs({0})",
    "stop": "{0}",
    **{name: f"{name}({{0}})" for name in ("exp", "tanh", "sigmoid", "softplus")},
    **{
        name: f"np.{name}({{0}})" for name in ["log", "log1p", "sqrt", "sin", "cos", "tan", "sign", "floor", "isfinite"]
    },
}
"""The operations of a graph in Numba's Python."""

FORWARD = """
def kernel(t0, t1, b0, b1, batch, n, events, drive, z, bias, w_rec, rec, K, V{arrays}):
    active = np.empty(n + 1, np.int32)
    {before}
    for t in range(t0, t1):
        for b in range(b0, b1):
            r = t * batch + b
            if events:
                gather(z, r, w_rec, rec, b, active)
            for j in range(n):
                {inside}
"""
BACKWARD = """
def kernel(t0, t1, b0, b1, rows, batch, n, signal, back, z, K, V{arrays}):
    {before}
    for t in range(t1 - 1, t0 - 1, -1):
        for m in range(rows):
            for b in range(b0, b1):
                r = t * batch + b
                q = (t * rows + m) * batch + b
                a = m * batch + b
                for j in range(n):
                    {inside}
"""
ENTRIES = """
def kernel(r0, r1, batch, n, z, K, V{arrays}):
    {before}
    for r in range(r0, r1):
        for j in range(n):
            {inside}
"""
# Rows are indexed, never cut out: the reference count of a view costs more than the arithmetic.
GATHER = """
@njit(error_model="numpy", forceinline=True)
def gather(z, r, w, out, b, active):
    count = 0
    for i in range(z.shape[1]):
        active[count] = i
        count += z[r, i] != 0
    for j in range(w.shape[1]):
        out[b, j] = 0
    for e in range(count):
        i = active[e]
        for j in range(w.shape[1]):
            out[b, j] += z[r, i] * w[i, j]
"""
"""``out[b] = z[r] @ w`` from the entries of the row that are not zero."""
WEIGHTED_SUM = """
def kernel(b0, b1, a, weight, out):
    for t in range(a.shape[0]):
        for b in range(b0, b1):
            for j in range(a.shape[2]):
                out[b, j] += weight[t, b] * a[t, b, j]
"""
"""``out += Σ_t weight_t a_t``."""
FILTER = """
def kernel(j0, j1, reverse, kappa, drive, f, out):
    for k in range(drive.shape[0]):
        t = drive.shape[0] - 1 - k if reverse else k
        for j in range(j0, j1):
            f[j] = kappa[0] * f[j] + drive[t, j]
            out[t, j] = f[j]
"""
"""``f_t = κ f_{t-1} + drive_t``, or from the last step to the first."""


class Text(NamedTuple):
    """A kernel's text, and the positions in the graph of the constants that it takes: numbers, and rows (n,), after
    which follow those of the nodes `settled` by the parameters of constants that learn."""

    text: str
    numbers: tuple[int, ...]
    rows: tuple[int, ...]
    settled: tuple[int, ...] = ()


def write(
    form: str,
    graph: Graph,
    arrays: list[str],
    outputs: Mapping[str, int],
    leaves: Mapping[int, str],
    parameters: Collection[int] = (),
) -> Text:
    """A kernel of a form that computes outputs, ``target = value``, from leaves, ``value = source``.

    What depends on `parameters` and constants alone is not computed in the kernel, which takes it as rows.

    `arrays` are the arguments that differ from cell to cell, one for each quantity, since parts of one array would have
    to be checked for overlap. Names and places count from 0 in the kernel, so that its text depends on nothing else in
    the graph.
    """
    settled = settled_by(graph, outputs.values(), leaves, parameters)
    order = needed(graph, outputs.values(), {*leaves, *settled})
    first = sum(graph.nodes[i][0] == "constant" and graph.nodes[i][1][1] == 1 for i in order)
    name = {i: f"x{k}" for k, i in enumerate(order)}
    numbers: list[int] = []
    rows: list[int] = []
    before, inside = [], []
    for i in order:
        operation, operands = graph.nodes[i]
        if i in settled:
            row = f"V[{first + settled.index(i)}, j]"
            inside.append(f"{name[i]} = {row}{' != 0.0' if graph.is_condition(i) else ''}")
        elif i in leaves:
            inside.append(f"{name[i]} = {leaves[i]}")
        elif operation == "constant" and operands[1] == 0:
            before.append(f"{name[i]} = K[{len(numbers)}]")
            numbers.append(operands[0])
        elif operation == "constant":
            inside.append(f"{name[i]} = V[{len(rows)}, j]")
            rows.append(operands[0])
        else:
            inside.append(f"{name[i]} = {TEXTS[operation].format(*(name[a] for a in operands))}")
    inside += [f"{target} = {name[i]}" for target, i in outputs.items()]
    # An indentation of the loops' depth, as in the form.
    depth = form[: form.index("{inside}")].rpartition("\n")[2]
    text = form.format(
        arrays="".join(f", {a}" for a in arrays), before="\n    ".join(before), inside=f"\n{depth}".join(inside)
    )
    return Text(text, tuple(numbers), tuple(rows), settled)


def settled_by(graph: Graph, outputs: Iterable[int], leaves: Iterable[int], parameters: Any) -> tuple[int, ...]:
    """The last nodes that depend on nothing but parameters and constants."""
    order, found = needed(graph, outputs, leaves), set(parameters)
    for i in order:
        before = operands(graph, i)
        if before and i not in leaves and all(a in found or graph.nodes[a][0] == "constant" for a in before):
            found |= {i} if not found.isdisjoint(before) else set()
    used = {a for i in order if i not in found and i not in leaves for a in operands(graph, i)} | set(outputs)
    return tuple(i for i in order if i in found & used)


HEAD = """# Generated by neko from a neuron's step; made again if deleted.
import numpy as np
from numba import njit
from neko.kernels.numba import Distinct
"""


DECORATED = '@njit(nogil=True, cache=True, error_model="numpy", pipeline_class=Distinct)'
"""What stands before a kernel; arrays that it takes must not overlap."""


@functools.cache
def head(dtype: np.dtype) -> str:
    """The beginning of a text: what kernels of a precision call."""
    return f"{HEAD}{vector.text(dtype.name)}{GATHER}"


@functools.cache
def compiled(text: str, dtype: np.dtype) -> Callable[..., Any]:
    """The kernel of a text: compiled at the first call on a machine, later loaded from the cache."""
    found: Callable[..., Any] = module(f"{head(dtype)}\n\n{DECORATED}{text}").kernel
    return found


def module(whole: str) -> ModuleType:
    """A text as a module, kept in a file named by its hash."""
    name = hashlib.sha256(whole.encode()).hexdigest()[:24]
    path = folder() / f"kernel_{name}.py"
    if not path.exists():
        part = path.with_suffix(f".{os.getpid()}.part")
        part.write_text(whole)
        part.replace(path)
        announce(path.parent)
    spec = importlib.util.spec_from_file_location(f"neko_{path.stem}", path)
    found = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    sys.modules[found.__name__] = found  # Numba looks it up when it loads what it has kept
    spec.loader.exec_module(found)  # type: ignore[union-attr]
    return found


@functools.cache
def announce(place: Path) -> None:
    """Say once in a process why its first steps take seconds."""
    logger.warning("neko compiles kernels for this network, once on this machine (kept in %s)", place)


def folder() -> Path:
    """Where kernels are kept: ``NEKO_KERNEL_CACHE``, else the user's cache, else a temporary folder."""
    chosen = os.environ.get("NEKO_KERNEL_CACHE")
    for place in (Path(chosen) if chosen else pooch.os_cache("neko") / "kernels", Path(tempfile.gettempdir()) / "neko"):
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(place, os.W_OK):
            return place
    raise OSError("no folder for generated kernels can be written: set NEKO_KERNEL_CACHE to one")


class Distinct(CompilerBase):
    """Numba's compiler, told that arrays do not overlap; else it compares every two, or does not vectorise."""

    def define_pipelines(self) -> list[Any]:
        self.state.flags.noalias = True
        return [DefaultPassBuilder.define_nopython_pipeline(self.state)]
