"""Generated kernels on PyTorch's arrays on the CPU, whose memory they share."""

from __future__ import annotations

import contextlib
import contextvars
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numba.core.errors import NumbaError

from neko.backend.generated import Offer, once, until_the_end
from neko.backend.protocol import Backend
from neko.cells.base import Cell
from neko.kernels import products, threads
from neko.kernels.buffers import BUFFERS
from neko.kernels.check import STEPS, difference
from neko.kernels.layer import Drive, Kernels, Run, kernels_of, rebuilt
from neko.kernels.plan import Plan
from neko.kernels.tape import Steps
from neko.kernels.trace import Untraceable
from neko.typing import Array


def view(a: Array) -> np.ndarray:
    """The memory of a tensor."""
    a = a.detach() if a.requires_grad else a
    return (a if a.is_contiguous() else a.contiguous()).numpy()


def flat(a: Array) -> np.ndarray:
    """The memory of a tensor (time, batch, n), of which n may be 0, as rows."""
    return view(a).reshape(a.shape[0] * a.shape[1], a.shape[2])


THREADS: contextvars.ContextVar[int | None] = contextvars.ContextVar("threads", default=None)
threads.PREPARED.extend(
    [functools.partial(torch.set_flush_denormal, True), functools.partial(torch.set_num_threads, 1)]
)


def count() -> int:
    """The number of threads that the user has set."""
    return THREADS.get() or torch.get_num_threads()


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """A region in which the threads belong to kernels, and PyTorch's own operations run in one.

    Its threads wait for each other after every operation, which costs more than they gain in operations as short as
    those of a layer's step.
    """
    before = torch.get_num_threads()
    token = THREADS.set(THREADS.get() or before)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        THREADS.reset(token)


PRODUCTS = 16
"""Products and sums in the time of one neuron's step."""


def dense(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    """``out = a @ b``."""
    left, right, found = map(torch.from_numpy, (a, b, out))
    work = a.shape[0] * b.size // PRODUCTS
    threads.shared(len(a), work, count(), lambda i, j: torch.mm(left[i:j], right, out=found[i:j]))


def events_of(a: Array, rows: np.ndarray) -> products.Events | None:
    """The events of an array: those of emissions are found once, and kept with the array."""
    kept = getattr(a, "events", None)
    return products.events(rows) if kept is None else kept()


def product(a: Array, rows: np.ndarray, w: np.ndarray, out: np.ndarray) -> None:
    """``out = rows @ w`` for the rows of an array, by events if few entries are not zero."""
    found = events_of(a, rows)
    if found is None:
        dense(rows, w, out)
    else:
        products.product(rows, found, w, out, count())


def outer_sum(pre: Array, post: Array) -> Array:
    """``Σ_t Σ_b pre ⊗ post`` of arrays (time, batch, …)."""
    a, b = flat(pre), flat(post)
    found = events_of(pre, a)
    if found is not None:
        return torch.from_numpy(products.outer_sum(a, found, b, count()))
    out = np.empty((a.shape[1], b.shape[1]), a.dtype)
    dense(a.T, b, out)
    return torch.from_numpy(out)


def emissions(z: np.ndarray) -> tuple[Array, Array]:
    """Emissions before and after each step, from (time + 1, batch, n)."""
    rows, size = z.reshape(-1, z.shape[2]), z.shape[1]
    found = functools.cache(lambda: products.events(rows))
    before, after = torch.from_numpy(z[:-1]), torch.from_numpy(z[1:])

    def part(begin: int, end: int) -> products.Events | None:
        both = found()
        return None if both is None else both._replace(first=both.first[begin : end + 1])

    before.events = functools.partial(part, 0, len(rows) - size)
    after.events = functools.partial(part, size, len(rows))
    return before, after


Weights = tuple[Array, Array | None, Array | None, tuple[Array, ...]]
"""Input weights, recurrent weights, bias, and the parameters of the constants that learn."""

REFUSED: dict[tuple[Plan, type[Cell]], str] = {}
"""Result of the comparison with live data: empty if the kernels agree with the step."""


def offer(xp: Backend, cell: Cell, state: Any) -> Offer:
    """The kernels of a cell for states like this one."""
    until_the_end(alone)
    used = tuple(field is not None for field in state)
    found: Offer = once((xp, cell, used), lambda: made(xp, cell, used))
    return found


def made(xp: Backend, cell: Cell, used: tuple[bool, ...]) -> Offer:
    """The offer of a cell as it is now."""
    try:
        kernels = kernels_of(cell, xp.dtype_name, used, dense, count())
    except Untraceable as error:
        return Offer(None, str(error))
    reason = REFUSED.get((kernels.plan, type(cell)), "")
    return Offer(None, reason) if reason else Offer(Layer(xp, cell, kernels))


def project(a: Array, w: Array) -> Array:
    """``a @ w`` of arrays (time, batch, p) and (p, n)."""
    left, right = flat(a), view(w)
    out = BUFFERS.empty((len(left), w.shape[-1]), left.dtype)
    product(a, left, right, out)
    return torch.from_numpy(out).reshape(*a.shape[:-1], w.shape[-1])


def weighted_sum(a: Array, weight: Array) -> Array:
    """``Σ_t weight_t a_t`` of arrays (time, batch, n) and (time, batch)."""
    rows = flat(a)
    found = events_of(a, rows) if hasattr(a, "events") else None
    if found is not None:
        return torch.from_numpy(products.weighted_count(rows, found, view(weight), count()))
    return torch.from_numpy(products.weighted_sum(view(a), view(weight), count()))


def leaky_filter(kappa: float, drive: Array, start: Array, reverse: bool) -> tuple[Array, Array]:
    """``f_t = κ f_{t-1} + drive_t`` along the leading axis; the last f and all of them."""
    f, given = view(start).copy(), view(drive)
    out = BUFFERS.empty(given.shape, given.dtype)
    columns = (given.reshape(len(given), -1), f.reshape(-1))
    products.leaky_filter(kappa, *columns, reverse, out.reshape(len(out), -1), count())
    return torch.from_numpy(f), torch.from_numpy(out)


class Layer:
    """A layer of a cell over time; `neko.models.network` asks its backend for it."""

    def __init__(self, xp: Backend, cell: Cell, kernels: Kernels) -> None:
        self.xp = xp
        self.cell = cell
        self.kernels = kernels

    def agrees(self, weights: Weights, x: Array, state: Any) -> bool:
        """Whether the kernels agree with the cell's own step on these data; asked of the data once."""
        key = self.kernels.plan, type(self.cell)
        if key not in REFUSED:
            drive = drive_of(x[:STEPS], *weights, kernels=self.kernels)
            try:
                with torch.no_grad():
                    REFUSED[key] = difference(self.xp, self.cell, self.kernels, drive, state)
            except NumbaError as error:
                REFUSED[key] = f"Numba cannot compile it: {' '.join(str(error).split())[:200]}"
        return not REFUSED[key]

    def unroll(self, weights: Weights, x: Array, state: Any) -> tuple[Any, Array]:
        """The last state, and the emissions (time, batch, n), differentiable by weights, input and state."""
        fields = [field for field in state if field is not None]
        *matrices, constants = weights
        arrays = (*matrices, *constants, *fields)
        if torch.is_grad_enabled() and any(a is not None and a.requires_grad for a in (x, *arrays)):
            *last, z = Unrolled.apply(self.kernels, x, *arrays)
        else:
            run = self.run(weights, x, fields, record=False)
            last, (_, z) = map(torch.from_numpy, run.last), emissions(run.z)
        # A view of the last emission would keep all of them for as long as the state is kept.
        return rebuilt(state, [*last, z[-1].clone()]), z

    def record(self, weights: Weights, x: Array, state: Any) -> tuple[Any, Array, Array, Tape]:
        """The last state, the emissions before and after each step, and the step Jacobians."""
        run = self.run(weights, x, [field for field in state if field is not None], record=True)
        last = [*map(torch.from_numpy, run.last), torch.from_numpy(run.z[-1].copy())]
        return rebuilt(state, last), *emissions(run.z), Tape(self.kernels, run)

    def run(self, weights: Any, x: Array, fields: list[Array], *, record: bool) -> Run:
        drive = drive_of(x, *weights, kernels=self.kernels)
        return self.kernels.forward(drive, [view(f) for f in fields], record=record)


def drive_of(
    x: Array, w_in: Array, w_rec: Array | None, bias: Array | None, constants: Sequence[Array], *, kernels: Kernels
) -> Drive:
    """The currents by the input, all steps in one product, and the other weights."""
    a, w = view(x), view(w_in)
    feed = BUFFERS.empty((*a.shape[:2], w.shape[1]), kernels.dtype)
    product(x, a.reshape(-1, a.shape[2]), w, feed.reshape(-1, w.shape[1]))
    nothing = np.zeros((kernels.units, 0), kernels.dtype)
    theta = tuple(np.broadcast_to(view(a), (kernels.units,)) for a in constants)
    return Drive(feed, nothing if w_rec is None else view(w_rec), nothing[0] if bias is None else view(bias), theta)


class Tape(Steps):
    """Step Jacobians of a layer along a run; as `neko.rules.jacobian.Jacobians`, by generated kernels."""

    def adjoint(self, signal: Array, end: Any) -> tuple[tuple[Array | None, ...], tuple[Array, ...]]:
        batch, n = self.run.z.shape[1:]
        by_rows = view(signal).reshape(signal.shape[0], -1, batch, n)
        shape = (len(self.plan.carried), *by_rows.shape[1:])
        credit = np.zeros(shape, self.kernels.dtype)
        for k, i in enumerate(self.plan.carried):
            if end[i] is not None:
                credit[k] = view(end[i]).reshape(shape[1:])
        start, delta = self.kernels.backward(self.run, by_rows, credit)
        first = tuple(None if s is None else torch.from_numpy(s).reshape(signal.shape[1:]) for s in start)
        return first, tuple(torch.from_numpy(d).reshape(signal.shape) for d in delta)

    def computed(self, wanted: tuple[tuple[int, int], ...]) -> list[Array]:
        return list(map(torch.from_numpy, super().computed(wanted)))


class Unrolled(torch.autograd.Function):
    """A layer over time as one differentiable operation: last fields, then emissions."""

    @staticmethod
    def forward(ctx: Any, kernels: Kernels, x: Any, w_in: Any, w_rec: Any, bias: Any, *others: Any) -> Any:
        count = len(kernels.plan.learnt)
        constants, fields = others[:count], others[count:]
        drive = drive_of(x, w_in, w_rec, bias, constants, kernels=kernels)
        run = kernels.forward(drive, [view(f) for f in fields], record=True)
        ctx.kernels, ctx.run, ctx.given = kernels, run, (x, w_in, w_rec, bias)
        ctx.shared = [len(a) < kernels.units for a in constants]
        return (*map(torch.from_numpy, run.last), torch.from_numpy(run.z[1:]))

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *credits: Any) -> Any:
        kernels, plan, (x, w_in, w_rec, bias) = ctx.kernels, ctx.kernels.plan, ctx.given
        *last, signal = map(view, credits)
        end = np.zeros((len(plan.carried), 1, *signal.shape[1:]), kernels.dtype)
        for k, i in enumerate(plan.carried[:-1]):
            end[k] = last[i]
        weights = None if w_rec is None else view(w_rec)
        start, found = kernels.backward(ctx.run, signal[:, None], end, weights)
        delta = [torch.from_numpy(d[:, 0]) for d in found]
        pre, _ = emissions(ctx.run.z)
        to_input = [delta[c] for c in plan.inputs]
        d_in = torch.cat([outer_sum(x, d) for d in to_input], dim=1)
        d_rec = None if w_rec is None else torch.cat([outer_sum(pre, delta[c]) for c in plan.recurrent], dim=1)
        d_bias = None if bias is None else torch.cat([d.sum((0, 1)) for d in delta[: plan.learnt.start]])
        d_x = torch.cat(to_input, dim=2) @ w_in.T if ctx.needs_input_grad[1] else None
        d_state = [None if s is None else torch.from_numpy(s[0]) for s in start]
        by_neuron = zip((delta[c].sum((0, 1)) for c in plan.learnt), ctx.shared, strict=True)
        d_constants = [d.sum(0, keepdim=True) if shared else d for d, shared in by_neuron]
        return None, d_x, d_in, d_rec, d_bias, *d_constants, *d_state
