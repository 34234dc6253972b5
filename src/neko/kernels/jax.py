"""Generated kernels on JAX's arrays on the CPU: a layer over time is one call inside a compiled program.

Spiking cells only, whose recurrent product is by events. A dense recurrent product is faster in XLA's own programs.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numba.core.errors import NumbaError

from neko.backend.generated import Offer
from neko.backend.protocol import Backend
from neko.cells.base import Cell
from neko.cells.learnable import learnt
from neko.kernels.calls import Kernels
from neko.kernels.check import SEQUENCES, STEPS, difference
from neko.kernels.layer import Drive, Run, kernels_of, rebuilt
from neko.kernels.plan import Plan
from neko.kernels.sparse import outer_sum
from neko.kernels.tape import Steps
from neko.kernels.trace import Untraceable
from neko.typing import Array

REFUSED: dict[tuple[Plan, type[Cell]], str] = {}
"""Result of the comparison with drawn data: empty if the kernels agree with the step."""


def offer(xp: Backend, cell: Cell, state: Any) -> Offer:
    """The kernels of a cell for states like this one."""
    used = tuple(field is not None for field in state)
    if learnt(cell):
        return Offer(None, f"constants learn: {', '.join(learnt(cell))}")
    try:
        # A dense recurrent product is in no kernel, and the program has one thread.
        traced = kernels_of(cell, xp.dtype_name, used, lambda a, b, out: None, 1)
    except Untraceable as error:
        return Offer(None, str(error))
    if cell.recurrent_currents and not cell.spiking:
        return Offer(None, "a dense recurrent product is faster in XLA's own programs")
    reason = REFUSED.get((traced.plan, type(cell)), "")
    return Offer(None, reason) if reason else Offer(Layer(xp, cell, Kernels(traced)))


Weights = tuple[Array, Array | None, Array | None, tuple[()]]
"""Input weights, recurrent weights and bias."""


class Layer:
    """A layer of a cell over time; `neko.models.network` asks its backend for it."""

    def __init__(self, xp: Backend, cell: Cell, kernels: Kernels) -> None:
        self.xp, self.cell, self.kernels = xp, cell, kernels

    def agrees(self, weights: Weights, x: Array, state: Any) -> bool:
        """Whether the kernels agree with the cell's own step, asked once.

        A program has no data while JAX traces it: the comparison is of a few steps from the cell's initial state, with
        drawn inputs of several sizes.
        """
        key = self.kernels.plan, type(self.cell)
        if key not in REFUSED:
            with jax.ensure_compile_time_eval():
                try:
                    found: Any = OnArrays(self.kernels)
                    start = self.cell.initial_state(self.xp, SEQUENCES)
                    REFUSED[key] = difference(self.xp, self.cell, found, drawn(self.cell, self.kernels.dtype), start)
                except NumbaError as error:
                    REFUSED[key] = f"Numba cannot compile it: {' '.join(str(error).split())[:200]}"
        return not REFUSED[key]

    def unroll(self, weights: Weights, x: Array, state: Any) -> tuple[Any, Array]:
        """The last state, and the emissions (time, batch, n), differentiable by weights, input and state."""
        drive, fields = self.given(weights, x, state)
        last, z = unrolled(self.kernels, drive, fields)
        return rebuilt(state, [*last, z[-1]]), z

    def record(self, weights: Weights, x: Array, state: Any) -> tuple[Any, Array, Array, Tape]:
        """The last state, the emissions before and after each step, and the step Jacobians."""
        run = self.kernels.forward(*self.given(weights, x, state), record=True)
        return rebuilt(state, [*run.last, run.z[-1]]), run.z[:-1], run.z[1:], Tape(self.kernels, run)

    def given(self, weights: Weights, x: Array, state: Any) -> tuple[Drive, list[Array]]:
        """The drive of all steps, whose input is one product, and the fields of the state."""
        w_in, w_rec, bias, _ = weights
        nothing = jnp.zeros((self.cell.units, 0), self.kernels.dtype)
        drive = Drive(x @ w_in, nothing if w_rec is None else w_rec, nothing[0] if bias is None else bias)
        return drive, [field for field in state if field is not None]


class OnArrays:
    """Kernels that take and give NumPy's arrays, for the comparison with drawn data."""

    def __init__(self, kernels: Kernels) -> None:
        self.kernels, self.plan, self.dtype = kernels, kernels.plan, kernels.dtype

    def forward(self, drive: Drive, state: list[np.ndarray], *, record: bool) -> Run:
        given = jax.tree.map(jnp.asarray, (drive, state))
        found: Run = jax.tree.map(np.asarray, self.kernels.forward(*given, record=record))
        return found

    def backward(self, run: Run, signal: np.ndarray, end: np.ndarray) -> tuple[list[Any], list[Any]]:
        given = jax.tree.map(jnp.asarray, (run, signal, end))
        start, delta = self.kernels.backward(*given)
        return [None if s is None else np.asarray(s) for s in start], list(map(np.asarray, delta))


def drawn(cell: Cell, dtype: Any) -> Drive:
    """A drive of a few steps, with inputs that grow from sequence to sequence: some neurons spike, others rest."""
    rng, n = np.random.default_rng(0), cell.units
    feed = rng.normal(size=(STEPS, SEQUENCES, len(cell.input_currents) * n))
    feed *= 0.3 * 3.0 ** np.arange(SEQUENCES)[:, None]
    w_rec = rng.normal(size=(n, len(cell.recurrent_currents) * n)) / np.sqrt(n)
    bias = rng.normal(size=cell.n_currents * n if cell.bias else 0)
    return Drive(feed.astype(dtype), w_rec.astype(dtype), bias.astype(dtype))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def unrolled(kernels: Kernels, drive: Drive, fields: list[Array]) -> tuple[list[Array], Array]:
    """A layer over time as one differentiable operation: last fields, and emissions."""
    run = kernels.forward(drive, fields, record=False)
    return list(run.last), run.z[1:]


def recorded(kernels: Kernels, drive: Drive, fields: list[Array]) -> Any:
    """As `unrolled`, with what its derivative needs."""
    run = kernels.forward(drive, fields, record=True)
    return (list(run.last), run.z[1:]), (run, drive)


def pulled_back(kernels: Kernels, kept: Any, credits: Any) -> Any:
    """The credit of the drive and of the fields, from the credit of last fields and emissions."""
    (run, drive), (last, signal), plan = kept, credits, kernels.plan
    nothing = jnp.zeros_like(signal[0])
    end = jnp.stack([nothing if i == len(last) else last[i] for i in plan.carried])[:, None]
    w_rec = drive.w_rec if plan.recurrent else None
    start, found = kernels.backward(run, signal[:, None], end, w_rec)
    delta, pre = [d[:, 0] for d in found], run.z[:-1]
    d_feed = jnp.concatenate([delta[c] for c in plan.inputs], axis=2)
    d_rec = jnp.concatenate([outer_sum(pre, delta[c]) for c in plan.recurrent] or [drive.w_rec], axis=1)
    d_bias = jnp.concatenate([d.sum((0, 1)) for d in delta] if plan.bias else [drive.bias])
    return Drive(d_feed, d_rec, d_bias), [nothing if s is None else s[0] for s in start]


unrolled.defvjp(recorded, pulled_back)


class Tape(Steps):
    """Step Jacobians of a layer along a run; as `neko.rules.jacobian.Jacobians`, by generated kernels."""

    def adjoint(self, signal: Array, end: Any) -> tuple[tuple[Array | None, ...], tuple[Array, ...]]:
        batch, n = self.run.z.shape[1:]
        by_rows = signal.reshape(signal.shape[0], math.prod(signal.shape[1:-2]), batch, n)
        nothing = jnp.zeros_like(by_rows[0])
        credit = [nothing if end[i] is None else end[i].reshape(nothing.shape) for i in self.plan.carried]
        start, delta = self.kernels.backward(self.run, by_rows, jnp.stack(credit))
        first = tuple(None if s is None else s.reshape(signal.shape[1:]) for s in start)
        return first, tuple(d.reshape(signal.shape) for d in delta)
