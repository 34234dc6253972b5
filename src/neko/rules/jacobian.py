r"""The Jacobian of a neuron's step, and the backward recurrence of credit that follows from it.

From a cell's step alone, automatic differentiation gives for each neuron and step

``A_t = ∂h_t/∂h_{t-1}`` (d × d),  ``b_t = ∂h_t/∂I_t`` (d × k).

The emission is the last of the d state fields. `adjoint` runs the recurrence backward, which needs no presynaptic axis
and so costs one element-wise scan. Entries of A and b that are zero by the structure of the step are never computed
(None).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from neko import tree
from neko.backend.protocol import Backend
from neko.cells.base import Cell
from neko.cells.jacobian import Entries, StepJacobian, live
from neko.cells.learnable import bound
from neko.models.layer import LayerTrace, States
from neko.typing import Array


def fields(state: Any) -> tuple[Array, ...]:
    """The arrays of a state, without unused fields (None)."""
    return tuple(field for field in state if field is not None)


@dataclass(frozen=True, eq=False)
class Jacobians:
    """Step Jacobians A_t and b_t of a layer over time, for a scan; generated kernels have the same methods.

    ``xs`` are the arrays of the scan, and ``at`` returns the `StepJacobian` of one step from a slice of them. ``alive``
    marks the state fields that influence an emission at a later step: only these carry credit. ``all_steps`` returns
    the `StepJacobian` of all steps at once.
    """

    xp: Backend
    xs: Any
    at: Callable[[Any], StepJacobian]
    alive: tuple[bool, ...]
    all_steps: Callable[[], StepJacobian]

    def slopes(self) -> Entries:
        """∂z_t/∂I_t of every current, (time, batch, n)."""
        return self.all_steps().current[-1]

    def adjoint(self, signal: Array, end: Entries) -> tuple[Entries, tuple[Array, ...]]:
        r"""The backward recurrence from credit at emissions to credit at currents.

        .. math::
            λ_t = A_{t+1}^T λ_{t+1} + signal_t e_z, \qquad δ_t = b_t^T λ_t

        Parameters
        ----------
        signal : Array (time, …, batch, n)
            Learning signal at each emission; axes between time and batch are independent problems.
        end : tuple of Array (…, batch, n) or None
            Credit at the last state from after the sequence, None for fields that are not alive.

        Returns
        -------
        tuple
            Credit at the state before the first step, and δ per current, (time, …, batch, n).
        """
        if not any(self.alive):
            time, *between, batch, n = signal.shape
            shape = (time, *(1 for _ in between), batch, n)
            slopes = [None if b is None else self.xp.reshape(b, shape) for b in self.slopes()]
            delta = tuple(self.xp.zeros_like(signal) if b is None else b * signal for b in slopes)
            return (None,) * len(self.alive), delta

        def step(carry: Entries, xs: Any) -> tuple[Entries, tuple[Array, ...]]:
            columns, at_emission = xs
            state, current = self.at(columns)
            credit = (*carry[:-1], at_emission if carry[-1] is None else carry[-1] + at_emission)
            earlier = tuple(None if carry[j] is None else combine(column(state, j), credit) for j in range(len(carry)))
            delta = [combine(column(current, c), credit) for c in range(len(current[0]))]
            return earlier, tuple(self.xp.zeros_like(at_emission) if e is None else e for e in delta)

        return self.xp.scan(step, end, (self.xs, signal), reverse=True)


def step_jacobians(xp: Backend, cell: Cell, trace: LayerTrace) -> Any:
    """The Jacobians of a cell's step along a trace.

    Given the states, the steps are independent of each other, so that one call differentiates all of them; where the
    compiler fuses the step of a scan, it is cheaper to differentiate there than to read the results from memory.
    """
    if not isinstance(trace.steps, States):
        return trace.steps
    state, currents = trace.steps
    before = fields(state)
    d, k = len(before), cell.n_currents

    def step(*columns: Array) -> tuple[Array, ...]:
        used, given = iter(columns), columns[d:]
        now = type(state)(*(None if f is None else next(used) for f in state))
        return fields(bound(xp, cell, given[k:]).dynamics(xp, now, *given[:k]))

    def at(columns: tuple[Array, ...]) -> StepJacobian:
        jacobian = xp.columnwise_jacobian(step, *columns)
        return StepJacobian(tuple(row[:d] for row in jacobian), tuple(row[d:] for row in jacobian))

    def all_steps() -> StepJacobian:
        shape = before[0].shape
        flat = tuple(xp.reshape(a, (shape[0] * shape[1], shape[2])) for a in (*before, *currents))
        return tree.map(lambda e: xp.reshape(e, shape), at(flat))

    if xp.fuses:
        columns = (*before, *currents)
        return Jacobians(xp, columns, at, alive(at(tuple(a[0] for a in columns))), all_steps)
    jacobian = all_steps()
    return Jacobians(xp, jacobian, lambda now: now, alive(jacobian), lambda: jacobian)


def edited(xp: Backend, jacobians: Any, edit: Callable[[StepJacobian], StepJacobian]) -> Jacobians:
    """Jacobians, also of generated kernels, of which `edit` changes or leaves out entries at every step."""
    if xp.fuses:

        def at(columns: Any) -> StepJacobian:
            return edit(jacobians.at(columns))

        first = at(tree.map(lambda a: a[0], jacobians.xs))
        return Jacobians(xp, jacobians.xs, at, alive(first), lambda: edit(jacobians.all_steps()))
    steps = edit(jacobians.all_steps())
    return Jacobians(xp, steps, lambda now: now, alive(steps), lambda: steps)


def alive(jacobian: StepJacobian) -> tuple[bool, ...]:
    """Which state fields influence an emission at a later step."""
    return live([[entry is not None for entry in row] for row in jacobian.state])


def combine(entries: Entries, values: Entries) -> Array | None:
    """Sum of the products in which neither factor is None."""
    total = None
    for entry, value in zip(entries, values, strict=True):
        if entry is not None and value is not None:
            total = entry * value if total is None else total + entry * value
    return total


def column(rows: tuple[Entries, ...], j: int) -> Entries:
    """Column j of a matrix given by rows."""
    return tuple(row[j] for row in rows)
