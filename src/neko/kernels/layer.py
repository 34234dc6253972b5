"""A layer of neurons over time by generated kernels: forward, the recurrence of credit backward, step Jacobians.

Arrays are NumPy's, with time leading: drives (time, batch, blocks n), emissions (time + 1, batch, n) from the one
before the first step, recorded values (…, time, batch, n).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from neko.cells.base import Cell
from neko.kernels import numba, threads
from neko.kernels.buffers import BUFFERS
from neko.kernels.plan import Plan, plan_of
from neko.kernels.trace import FOLDED, Graph

BLOCK = 32
"""Steps between two looks at how many neurons spike."""
SPARSE = 0.4
"""Share of neurons that spike up to which the recurrent product is faster by events than as a dense product."""

Product = Callable[[np.ndarray, np.ndarray, np.ndarray], None]
"""``(a, b, out)``: the dense matrix product of the framework."""


Theta = tuple[np.ndarray, ...]
"""The parameters of constants that learn, (n,) each."""


class Drive(NamedTuple):
    """What a layer receives: the input's currents (time, batch, blocks n), recurrent weights (n, blocks n) and bias
    (k n), of no blocks and entries where it has none; the parameters of the constants that learn, (n,) each."""

    feed: np.ndarray
    w_rec: np.ndarray
    bias: np.ndarray
    theta: Theta = ()


class Run(NamedTuple):
    """A layer over time: the last state's fields but the emission (fields, batch, n), all emissions
    (time + 1, batch, n), and what the backward pass needs: values (values, time, batch, n), and the parameters of the
    constants that learn."""

    last: np.ndarray
    z: np.ndarray
    tape: np.ndarray
    theta: Theta = ()


class Kernels:
    """The kernels of one cell, with its constants.

    Parameters
    ----------
    plan : Plan
        What does not depend on the constants.
    graph : Graph
        The graph of this cell; its constants stand for those of the plan's.
    product : callable
        The dense matrix product.
    count : int
        The number of threads to use.
    """

    def __init__(self, plan: Plan, graph: Graph, product: Product, count: int) -> None:
        self.plan = plan
        self.dtype = graph.dtype
        self.units = graph.units
        self.constants = [*graph.constants[: graph.traced], *plan.graph.constants[plan.graph.traced :]]
        self.product = product
        self.threads = count

    def kernel(self, text: numba.Text, theta: Theta) -> tuple[Callable[..., Any], np.ndarray, np.ndarray]:
        """A kernel with its constants."""
        return (numba.compiled(text.text, self.dtype), *self.arguments(text, theta))

    def arguments(self, text: numba.Text, theta: Theta = ()) -> tuple[np.ndarray, np.ndarray]:
        """The constants of a kernel: numbers, and rows (…, n)."""
        # At least one of each, since an array of no rows would be another type.
        numbers = np.array([self.constants[p] for p in text.numbers] or [np.zeros(())], self.dtype)
        rows = [self.constants[p] for p in text.rows]
        if text.settled:
            known = dict(zip(self.plan.parameters, theta, strict=True))
            rows += [np.broadcast_to(self.value(i, known), (self.units,)) for i in text.settled]
        return numbers, np.array(rows or [np.zeros(self.units)], self.dtype)

    def value(self, node: int, known: dict[int, Any]) -> Any:
        """The value of a node that depends on parameters, whose values are known, and constants alone."""
        if node not in known:
            operation, operands = self.plan.graph.nodes[node]
            constant = operation == "constant"
            known[node] = (
                self.constants[operands[0]]
                if constant
                else FOLDED[operation](*(self.value(i, known) for i in operands))
            )
        return known[node]

    def forward(self, drive: Drive, state: list[np.ndarray], *, record: bool) -> Run:
        """The layer from a state, whose fields are (batch, n) each; `record` keeps what the backward pass needs."""
        kernel, *constants = self.kernel(self.plan.forward, drive.theta)
        (time, batch, _), n = drive.feed.shape, self.units
        z = BUFFERS.empty((time + 1, batch, n), self.dtype)
        z[0] = state[-1]
        h = np.empty((len(state) - 1, batch, n), self.dtype)
        for field, value in zip(h, state[:-1], strict=True):
            field[:] = value
        tape = BUFFERS.empty((len(self.plan.tape), time if record else min(time, BLOCK), batch, n), self.dtype)
        rec = np.zeros((batch, drive.w_rec.shape[1]), self.dtype)
        fixed = (drive.bias, drive.w_rec, rec, *constants, *h, *stacked(tape))

        def steps(begin: int, end: int, by_events: bool) -> None:
            # What is not recorded is written to the same place in every block.
            first = 0 if record else begin
            arrays = (batch, n, by_events, stacked(drive.feed[first:]), stacked(z[first:]), *fixed)
            work = (end - begin) * batch * n
            threads.shared(
                batch, work, self.threads, lambda b0, b1: kernel(begin - first, end - first, b0, b1, *arrays)
            )

        begin, recurrent = 0, bool(self.plan.recurrent)
        while begin < time:
            by_events = recurrent and self.plan.spiking and np.count_nonzero(z[begin]) <= SPARSE * batch * n
            end = min(begin + BLOCK, time) if by_events or not recurrent else begin + 1
            if recurrent and not by_events:
                self.product(z[begin], drive.w_rec, rec)
            steps(begin, end, bool(by_events))
            begin = end
        return Run(h, z, tape, drive.theta)

    def backward(
        self, run: Run, signal: np.ndarray, end: np.ndarray, w_rec: np.ndarray | None = None
    ) -> tuple[list[np.ndarray | None], list[np.ndarray]]:
        r"""``λ_t = A_{t+1}^T λ_{t+1} + signal_t e_z`` and ``δ_t = b_t^T λ_t``, backward in time.

        Parameters
        ----------
        run : Run
            The forward pass, with its tape.
        signal : array (time, rows, batch, n)
            Credit of each emission; rows are independent problems.
        end : array (carried, rows, batch, n)
            λ after the last step of the fields `Plan.carried`; it is overwritten.
        w_rec : array (n, blocks n), optional
            Recurrent weights, if credit passes through them; then there is one row.

        Returns
        -------
        tuple
            λ of every field before the first step, None where it is not alive, and δ of every current,
            (time, rows, batch, n).
        """
        kernel, *constants = self.kernel(self.plan.backward, run.theta)
        time, rows, batch, n = signal.shape
        delta = BUFFERS.empty((len(self.plan.currents), time, rows, batch, n), self.dtype)
        back = np.zeros((rows * batch, n), self.dtype)
        fixed = (rows, batch, n, signal.reshape(-1, n), back, stacked(run.z), *constants, *stacked(run.tape))
        arrays = (*fixed, *end.reshape(len(end), -1, n), *delta.reshape(len(delta), -1, n))

        def steps(t0: int, t1: int) -> None:
            work = (t1 - t0) * rows * batch * n
            threads.shared(batch, work, self.threads, lambda b0, b1: kernel(t0, t1, b0, b1, *arrays))

        if w_rec is None:
            steps(0, time)
        else:
            blocks = np.ascontiguousarray(w_rec.T).reshape(-1, n, n)
            part = np.empty((batch, n), self.dtype)
            for t in range(time - 1, -1, -1):
                steps(t, t + 1)
                back[:] = 0.0
                for c, k in self.plan.recurrent.items():
                    self.product(delta[c, t, 0], blocks[k], part)
                    back += part
        return self.plan.before(end, None if w_rec is None else back[None]), list(delta)

    def entries(self, run: Run, wanted: tuple[tuple[int, int], ...]) -> list[np.ndarray]:
        """Entries of the step's Jacobian along a run, (time, batch, n) each."""
        kernel, *constants = self.kernel(self.plan.entries(wanted), run.theta)
        (time, batch, n), z = run.z[1:].shape, run.z.reshape(-1, self.units)
        found = np.empty((len(wanted), time * batch, n), self.dtype)

        def part(r0: int, r1: int) -> None:
            kernel(r0, r1, batch, n, z, *constants, *stacked(run.tape), *found)

        threads.shared(time * batch, time * batch * n, self.threads, part)
        return list(found.reshape(len(wanted), time, batch, n))


def stacked(a: np.ndarray) -> np.ndarray:
    """An array (…, time, batch, n) with time and batch as one axis."""
    return a.reshape(*a.shape[:-3], a.shape[-3] * a.shape[-2], a.shape[-1])


def rebuilt(state: Any, arrays: Iterable[Any]) -> Any:
    """A state like another one, whose fields are arrays where those of the other are."""
    left = iter(arrays)
    return type(state)(*(None if field is None else next(left) for field in state))


def kernels_of(cell: Cell, dtype: str, used: tuple[bool, ...], product: Product, count: int) -> Kernels:
    """The kernels of a cell whose state has the arrays marked by `used`; Untraceable with the reason if it has none."""
    return Kernels(*plan_of(cell, dtype, used), product, count)
