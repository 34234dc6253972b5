"""What the kernels of a cell compute, planned once for all cells with the same step."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

from neko.cells.base import Cell
from neko.cells.jacobian import live
from neko.cells.learnable import Learnable
from neko.cells.surrogates import Given, Surrogate
from neko.kernels import numba
from neko.kernels.derivative import pullback, recorded
from neko.kernels.trace import Graph, Symbol, Trace, trace


class Plan:
    """The kernels of a step, whatever its constants: their text, and the structure of the step's Jacobian.

    ``alive`` marks the fields that influence an emission at a later step; ``structure[i][j]`` whether field i after the
    step depends on argument j of the step, fields then currents. ``learnt`` are the places of the constants that learn
    among the currents, after those of the cell, and ``parameters`` their parameters.
    """

    def __init__(self, traced: Trace, cell: Cell) -> None:
        self.graph = traced.graph
        self.fields, self.currents, self.after = traced.fields, traced.currents, traced.after
        self.inputs = {c: k for k, c in enumerate(cell.input_currents)}
        self.recurrent = {c: k for k, c in enumerate(cell.recurrent_currents)}
        self.bias, self.spiking = cell.bias, cell.spiking
        self.learnt = range(cell.n_currents, len(self.currents))
        self.parameters = self.currents[cell.n_currents :]
        one, self.zero = self.graph.constant(1.0), self.graph.constant(0.0)
        self.rows = [pullback(self.graph, {i: one}, (*self.fields, *self.currents)) for i in traced.smooth]
        self.alive = live([[e is not None for e in row[: len(self.fields)]] for row in self.rows])
        self._plan_backward(traced)

    def _plan_backward(self, traced: Trace) -> None:
        graph, last = self.graph, len(self.fields) - 1
        self.carried = [i for i, alive in enumerate(self.alive) if alive or i == last]
        self.credits = {i: graph.input(f"credit{i}") for i in self.carried}
        seeds: dict[int, Symbol] = {}
        for i, credit in self.credits.items():
            node = traced.smooth[i]
            seeds[node] = seeds[node] + credit if node in seeds else credit
        found = pullback(graph, seeds, (*self.fields, *self.currents))
        self.earlier, self.delta = found[: last + 1], found[last + 1 :]
        outputs = [s.index for s in found if s is not None]
        free = {self.fields[-1], self.after[-1], *self.parameters}
        self.tape = recorded(graph, outputs, [c.index for c in self.credits.values()], free)

    @property
    def kept(self) -> dict[int, str]:
        """Where the backward pass finds values of the forward pass."""
        tape = {i: f"tape{k}[r, j]" for k, i in enumerate(self.tape)}
        return {**tape, self.fields[-1]: "z[r, j]", self.after[-1]: "z[r + batch, j]"}

    @functools.cached_property
    def forward(self) -> numba.Text:
        """The forward pass."""
        leaves = {i: f"h{k}[b, j]" for k, i in enumerate(self.fields[:-1])} | {self.fields[-1]: "z[r, j]"}
        leaves |= {i: self.current(c) for c, i in enumerate(self.currents[: self.learnt.start])}
        outputs = {f"h{k}[b, j]": i for k, i in enumerate(self.after[:-1])} | {"z[r + batch, j]": self.after[-1]}
        outputs |= {f"tape{k}[r, j]": i for k, i in enumerate(self.tape)}
        arrays = named("h", len(self.fields) - 1) + named("tape", len(self.tape))
        return numba.write(numba.FORWARD, self.graph, arrays, outputs, leaves, self.parameters)

    def current(self, c: int) -> str:
        """The current of a neuron: its input, its bias, and what reaches it from other neurons."""
        terms = [f"drive[r, {self.inputs[c]} * n + j]"] if c in self.inputs else []
        terms += [f"bias[{c} * n + j]"] if self.bias else []
        terms += [f"rec[b, {self.recurrent[c]} * n + j]"] if c in self.recurrent else []
        return " + ".join(terms) or "drive[r, j] - drive[r, j]"

    @functools.cached_property
    def backward(self) -> numba.Text:
        """The recurrence of credit from the last step to the first."""
        last = len(self.fields) - 1
        place = {i: f"credit{k}[a, j]" for k, i in enumerate(self.carried)}
        leaves = dict(self.kept)
        for i, credit in self.credits.items():
            fed = f"{place[i]} + " if self.alive[i] else ""
            leaves[credit.index] = place[i] if i != last else f"{fed}signal[q, j] + back[a, j]"
        outputs = {place[i]: self.or_zero(self.earlier[i]) for i in self.carried if self.alive[i]}
        outputs |= {f"delta{c}[q, j]": self.or_zero(d) for c, d in enumerate(self.delta)}
        arrays = named("tape", len(self.tape)) + named("credit", len(self.carried)) + named("delta", len(self.delta))
        return numba.write(numba.BACKWARD, self.graph, arrays, outputs, leaves, self.parameters)

    def before(self, credit: Any, back: Any) -> list[Any]:
        """λ of every field before the first step, None where it is not alive, from that of the fields `carried` and,
        if credit passes through recurrent weights, the credit of the emission by them."""
        place = {i: k for k, i in enumerate(self.carried)}
        start = [credit[place[i]] if alive else None for i, alive in enumerate(self.alive)]
        if back is not None:
            start[-1] = back if start[-1] is None else start[-1] + back
        return start

    def or_zero(self, credit: Symbol | None) -> int:
        """The node of a credit; where no path of derivatives leads to it, of zero."""
        return (self.zero if credit is None else credit).index

    @functools.cache  # noqa: B019 (plans live as long as the process)
    def entries(self, wanted: tuple[tuple[int, int], ...]) -> numba.Text:
        """Entries of the step's Jacobian, each (field after, argument)."""
        outputs = {f"entry{k}[r, j]": self.or_zero(self.rows[i][j]) for k, (i, j) in enumerate(wanted)}
        arrays = named("tape", len(self.tape)) + named("entry", len(wanted))
        return numba.write(numba.ENTRIES, self.graph, arrays, outputs, self.kept, self.parameters)


def named(name: str, count: int) -> list[str]:
    return [f"{name}{k}" for k in range(count)]


PLANS: dict[Any, Plan] = {}


def plan_of(cell: Cell, dtype: str, used: tuple[bool, ...]) -> tuple[Plan, Graph]:
    """The plan of a cell whose state has the arrays marked by `used`, and the graph with its constants.

    Untraceable with the reason if it has none. A user's cell is traced at each call, since its constants may have
    changed, in its fields or anywhere else.
    """
    fields = tuple(getattr(cell, field.name) for field in dataclasses.fields(cell))
    planned = known if all(map(is_constant, (cell, *fields))) else traced
    return planned(Settled(cell, fields), dtype, used)


class Settled(NamedTuple):
    """A cell, equal to any other of its class with equal fields."""

    cell: Cell
    fields: tuple[Any, ...]

    def __hash__(self) -> int:
        return hash((type(self.cell), self.fields))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Settled) and type(other.cell) is type(self.cell) and other.fields == self.fields


def is_constant(value: Any) -> bool:
    """Whether it is a number, a word or numbers, or a cell or surrogate of neko's, which read only their fields."""
    if isinstance(value, Cell | Surrogate):
        return type(value).__module__.startswith("neko.cells.") and not isinstance(value, Given)
    return isinstance(value, bool | int | float | str | tuple | Learnable | None)


def traced(settled: Settled, dtype: str, used: tuple[bool, ...]) -> tuple[Plan, Graph]:
    """The plan of a cell, and the graph with its constants."""
    cell = settled.cell
    found = trace(cell, dtype, used)
    wiring = (cell.input_currents, cell.recurrent_currents, cell.bias, cell.spiking)
    nodes = (found.fields, found.currents, found.after, found.smooth)
    key = (dtype, tuple(found.graph.nodes), nodes, wiring)
    if key not in PLANS:
        # The plan goes on to build in the graph of a trace of its own.
        PLANS[key] = Plan(trace(cell, dtype, used), cell)
    return PLANS[key], found.graph


known = functools.lru_cache(maxsize=64)(traced)
