"""Text of persistent Triton kernels from a cell's graph: one program for each sequence, over all steps. Experimental.

The state of all neurons stays in registers. Weights are streamed from memory in blocks of rows, of which only those are
read whose neuron emits. Triton has no general power: a step with ``x ** p``, p other than 2, is refused.
"""

from __future__ import annotations

import functools
import hashlib
import linecache
from collections.abc import Mapping
from typing import Any, NamedTuple

from neko.kernels import numba, vector
from neko.kernels.derivative import needed
from neko.kernels.numba import Text
from neko.kernels.plan import Plan
from neko.kernels.trace import Graph, Untraceable

TEXTS = {
    **{
        o: numba.TEXTS[o]
        for o in ["add", "sub", "mul", "div", "neg", "gt", "ge", "lt", "le", "eq", "ne", "and", "or", "stop"]
    },
    "not": "~{0}",
    "where": "tl.where({0}, {1}, {2})",
    **{o: f"tl.{o}({{0}}, {{1}}, propagate_nan=tl.PropagateNan.ALL)" for o in ("maximum", "minimum")},
    "sign": "tl.where({0} > 0.0, 1.0, tl.where({0} < 0.0, -1.0, {0}))",
    "tan": "tl.sin({0}) / tl.cos({0})",
    "isfinite": "{0} - {0} == 0.0",
    **{o: f"tl.{o}({{0}})" for o in ["exp", "log", "sqrt", "sin", "cos", "abs", "floor"]},
    **{o: f"{o}({{0}})" for o in ["log1p", "tanh", "sigmoid", "softplus"]},
}
"""The operations of a graph in Triton."""

HEAD = """import triton
import triton.language as tl


@triton.jit
def log1p(x):
    u = 1.0 + x
    return tl.where(u == 1.0, x, tl.log(u) * tl.where(u == x, 1.0, x / (u - 1.0)))


@triton.jit
def tanh(x):
    a = tl.abs(x)
    s = a * a
    t = tl.where(a < {small}, {series} * s * a + a, 1.0 - 2.0 / (tl.exp(2.0 * a) + 1.0))
    return tl.where(x < 0.0, -t, t)


@triton.jit
def sigmoid(x):
    return 1.0 / (1.0 + tl.exp(-x))


@triton.jit
def softplus(x):
    return log1p(tl.exp(-tl.abs(x))) + tl.where(x > 0.0, x, 0.0)


@triton.jit
def reach(source, weights, stride, n, j, live, N: tl.constexpr, BLOCK: tl.constexpr):
    # source @ weights, whose rows begin at multiples of stride; what the source is was written by all threads.
    total = tl.zeros([BLOCK, N], source.dtype.element_ty)
    for first in range(0, n, BLOCK):
        i = first + tl.arange(0, BLOCK)
        e = tl.load(source + i, mask=i < n, other=0.0)[:, None]
        total += e * tl.load(weights + i[:, None] * stride + j[None, :], mask=(e != 0.0) & live[None, :], other=0.0)
    return tl.sum(total, axis=0)


@triton.jit
def kernel(K, V, {arguments}, N: tl.constexpr, BLOCK: tl.constexpr):
    j = tl.arange(0, N)
    live = j < n
"""
FORWARD = "steps, batch, n, drive, bias, w_rec, h, z, tape, RECORD: tl.constexpr"
BACKWARD = "steps, rows, batch, n, signal, z, tape, credit, delta, back, w_back, RECURRENT: tl.constexpr"
ENTRIES = "batch, n, z, tape, found"


def load(array: str, row: object) -> str:
    return f"tl.load({array} + ({row}) * n + j, mask=live, other=0.0)"


def store(array: str, row: object, value: str) -> str:
    return f"tl.store({array} + ({row}) * n + j, {value}, mask=live)"


def indented(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]


class Step(NamedTuple):
    """Lines of a kernel that read constants, and that compute outputs; the positions of the numbers and rows read."""

    read: list[str]
    lines: list[str]
    numbers: list[int]
    rows: list[int]


def computed(graph: Graph, outputs: Mapping[str, int], leaves: Mapping[int, str]) -> Step:
    """Outputs, ``target = value``, from leaves, ``value = source``."""
    order = needed(graph, outputs.values(), leaves)
    name = {i: f"x{k}" for k, i in enumerate(order)}
    step = Step([], [], [], [])
    for i in order:
        operation, operands = graph.nodes[i]
        if i in leaves:
            step.lines.append(f"{name[i]} = {leaves[i]}")
        elif operation == "constant":
            position, is_row = operands
            source = load("V", len(step.rows)) if is_row else f"tl.load(K + {len(step.numbers)})"
            step.read.append(f"{name[i]} = {source}")
            (step.rows if is_row else step.numbers).append(position)
        elif operation in TEXTS:
            step.lines.append(f"{name[i]} = {TEXTS[operation].format(*(name[k] for k in operands))}")
        else:
            raise Untraceable(f"Triton has no operation {operation!r}")
    step.lines.extend(f"{target} = {name[i]}" for target, i in outputs.items())
    return step


def written(graph: Graph, arguments: str, step: Step, lines: list[str]) -> Text:
    """A kernel of the lines, which hold those of the step; constants are read once, before them."""
    made = vector.FORMATS[graph.dtype.name]
    series = vector.polynomial("", "s", vector.tanh_series(made.tanh_terms)[1:])
    head = HEAD.format(small=vector.SMALL, series=series, arguments=arguments)
    return Text(head + "\n".join(indented([*step.read, *lines])) + "\n", tuple(step.numbers), tuple(step.rows))


@functools.cache
def compiled(text: str) -> Any:
    """The kernel of a text; Triton compiles it at its first call, and keeps what it has compiled."""
    name = f"<kernel {hashlib.sha256(text.encode()).hexdigest()[:24]}>"
    linecache.cache[name] = len(text), None, text.splitlines(keepends=True), name  # where Triton reads the source
    scope: dict[str, Any] = {"__name__": "neko_kernel"}
    exec(compile(text, name, "exec"), scope)
    return scope["kernel"]


def kept(plan: Plan, rows: str) -> dict[int, str]:
    """Where the backward pass finds values of the forward pass; `rows` are those of one value on the tape."""
    tape = {i: load("tape", f"{k} * {rows} + r") for k, i in enumerate(plan.tape)}
    return {**tape, plan.fields[-1]: load("z", "r"), plan.after[-1]: load("z", "r + batch")}


@functools.cache
def forward(plan: Plan) -> Text:
    """The forward pass of one sequence."""
    last, blocks, wide = len(plan.fields) - 1, len(plan.inputs), len(plan.recurrent)
    biased = range(len(plan.currents) if plan.bias else 0)
    before = ["b = tl.program_id(0).to(tl.int64)", *(f"bias{c} = {load('bias', c)}" for c in biased)]
    before += [f"h{k} = {load('h', f'{k} * batch + b')}" for k in range(last)] + [f"h{last} = {load('z', 'b')}"]
    leaves = {i: f"h{k}" for k, i in enumerate(plan.fields)}
    for c, i in enumerate(plan.currents):
        terms = [load("drive", f"r * {blocks} + {plan.inputs[c]}")] if c in plan.inputs else []
        terms += [f"bias{c}"] if plan.bias else []
        if c in plan.recurrent:
            terms += [f"reach(z + r * n, w_rec + {plan.recurrent[c]} * n, {wide} * n, n, j, live, N, BLOCK)"]
        leaves[i] = " + ".join(terms) or f"tl.zeros_like(h{last})"
    outputs = {f"after{k}": i for k, i in enumerate(plan.after)} | {f"tape{k}": i for k, i in enumerate(plan.tape)}
    step = computed(plan.graph, outputs, leaves)
    inside = ["r = t * batch + b", *step.lines]
    # A step may set a field to one number for all neurons.
    inside += [f"h{k} = tl.broadcast_to(after{k}, [N])" for k in range(last + 1)]
    inside += [store("z", "r + batch", f"h{last}")]
    recorded = [store("tape", f"{k} * steps * batch + r", f"tape{k}") for k in range(len(plan.tape))]
    inside += ["if RECORD:", *indented(recorded or ["pass"])]
    inside += ["tl.debug_barrier()"]  # other threads read the emissions in the next step
    after = [store("h", f"{k} * batch + b", f"h{k}") for k in range(last)]
    return written(plan.graph, FORWARD, step, [*before, "for t in range(steps):", *indented(inside), *after])


@functools.cache
def backward(plan: Plan) -> Text:
    """The recurrence of credit of one sequence and row, from the last step to the first."""
    last, carried = len(plan.fields) - 1, range(len(plan.carried))
    before = ["b = tl.program_id(0).to(tl.int64)", "m = tl.program_id(1)", "a = m * batch + b"]
    before += [f"credit{k} = {load('credit', f'{k} * rows * batch + a')}" for k in carried]
    # Each program ends with writing where it begins with reading.
    before += [f"reached = tl.zeros_like(credit{carried[-1]})", "tl.debug_barrier()"]
    leaves, outputs, later = kept(plan, "steps * batch"), {}, []
    for k, i in enumerate(plan.carried):
        terms = [f"credit{k}"] if plan.alive[i] or i != last else []
        leaves[plan.credits[i].index] = " + ".join([*terms, *([load("signal", "q"), "reached"] if i == last else [])])
        if plan.alive[i]:
            outputs[f"earlier{k}"] = plan.or_zero(plan.earlier[i])
            later.append(f"credit{k} = tl.broadcast_to(earlier{k}, [N])")
    outputs |= {f"delta{c}": plan.or_zero(d) for c, d in enumerate(plan.delta)}
    step = computed(plan.graph, outputs, leaves)
    inside = ["t = steps - 1 - s", "r = t * batch + b", "q = (t * rows + m) * batch + b", *step.lines, *later]
    row = {c: f"{c} * steps * rows * batch + q" for c in range(len(plan.delta))}
    inside += [store("delta", row[c], f"delta{c}") for c in row]
    reach = "reach(delta + ({}) * n, w_back + {} * n * n, n, n, j, live, N, BLOCK)"
    through = [reach.format(row[c], k) for c, k in plan.recurrent.items()]
    # Other threads read the credit of the currents.
    inside += ["if RECURRENT:", *indented(["tl.debug_barrier()", f"reached = {' + '.join(through) or 'reached'}"])]
    after = [store("credit", f"{k} * rows * batch + a", f"credit{k}") for k in carried]
    after += [store("back", "a", "reached")]
    return written(plan.graph, BACKWARD, step, [*before, "for s in range(steps):", *indented(inside), *after])


@functools.cache
def entries(plan: Plan, wanted: tuple[tuple[int, int], ...]) -> Text:
    """Entries of the step's Jacobian at one step of one sequence."""
    outputs = {f"entry{k}": plan.or_zero(plan.rows[i][j]) for k, (i, j) in enumerate(wanted)}
    step = computed(plan.graph, outputs, kept(plan, "total"))
    lines = ["r = tl.program_id(0).to(tl.int64)", "total = tl.num_programs(0)", *step.lines]
    lines += [store("found", f"{k} * total + r", f"entry{k}") for k in range(len(wanted))]
    return written(plan.graph, ENTRIES, step, lines)
