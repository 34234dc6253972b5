"""A comparison of kernels with the step that they were made from, on a few steps of live data.

A trace runs ``dynamics`` once, on symbols: a step that branches on what its values are, and not on what they hold, may
have taken another branch than it takes on arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from neko.backend.protocol import Backend
from neko.cells.base import Cell
from neko.cells.jacobian import live
from neko.cells.learnable import bound, learnt
from neko.kernels.layer import Drive, Kernels

STEPS, SEQUENCES = 3, 4
TOLERANCE = {"float32": 1e-4, "float64": 1e-9}
FLIPPED = {"float32": 1e-3, "float64": 0.0}
"""Share of numbers that may differ: a potential within rounding of the threshold may fall on either side of it."""


def difference(xp: Backend, cell: Cell, kernels: Kernels, drive: Drive, state: Any) -> str:
    """What differs from the cell's own step, in values or derivatives; empty if nothing does."""
    used = [field is not None for field in state]
    expect, size = own(xp, cell, used), min(SEQUENCES, drive.feed.shape[1])
    before = [np.ascontiguousarray(xp.to_numpy(f)[:size]) for f in state if f is not None]
    for feed in drive.feed[:STEPS]:
        now = drive._replace(feed=np.ascontiguousarray(feed[None, :size]))
        after = before
        # Spikes are rare in the first steps, and their effect on the next state is a path of its own.
        for z in (before[-1], 1.0 - before[-1]) if cell.spiking else (before[-1],):
            start = [*before[:-1], z.astype(before[-1].dtype)]
            expected = expect(start, now)
            found = generated(kernels, start, now)
            for name, e, f in zip(names(cell, used), expected, found, strict=True):
                if not alike(e, f):
                    return f"the kernels' {name} differ from those of dynamics by {np.nanmax(np.abs(e - f)):.2g}"
            after = after if after is not before else [np.asarray(e) for e in expected[: len(before)]]
        before = after
    return ""


def alike(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays agree to rounding, but for the share in `FLIPPED`."""
    name = b.dtype.name
    with np.errstate(invalid="ignore"):
        close = np.isclose(a, b, rtol=TOLERANCE[name], atol=TOLERANCE[name], equal_nan=True)
    return bool(close.size - np.count_nonzero(close) <= FLIPPED[name] * close.size)


def names(cell: Cell, used: list[bool]) -> list[str]:
    fields = [f for f, u in zip(cell.State._fields, used, strict=True) if u]
    return [
        *(f"values of {f}" for f in fields),
        *(f"derivatives by {f}" for f in fields),
        *(f"derivatives by current {c}" for c in range(cell.n_currents)),
        *(f"derivatives by {name}" for name in learnt(cell)),
    ]


def weighting(shape: tuple[int, ...], k: int) -> np.ndarray:
    """A credit for field k, without zeros or pattern."""
    return np.cos(1.0 + k + np.arange(np.prod(shape))).reshape(shape)


def own(xp: Backend, cell: Cell, used: list[bool]) -> Callable[..., list[np.ndarray]]:
    """``(before, drive) -> `` the next state by ``dynamics``, and the credit of its arguments for a weighting of its
    live fields."""
    n, d = cell.units, sum(used)

    def step(*columns: Any) -> tuple[Any, ...]:
        left, given, k = iter(columns), columns[d:], cell.n_currents
        state = cell.State(*(next(left) if u else None for u in used))
        after = bound(xp, cell, given[k:]).dynamics(xp, state, *given[:k])
        return tuple(f for f in after if f is not None)

    def credited(*arguments: Any) -> list[Any]:
        jacobian = xp.columnwise_jacobian(step, *arguments)
        depends = [[e is not None for e in row[:d]] for row in jacobian]
        carried = [k for k, alive in enumerate(live(depends)) if alive or k == d - 1]
        credit = [xp.zeros_like(a) for a in arguments]
        for k in carried:
            for j, entry in enumerate(jacobian[k]):
                if entry is not None:
                    credit[j] = credit[j] + xp.asarray(weighting(arguments[0].shape, k)) * entry
        return [*step(*arguments), *credit]

    # Where a framework compiles, it does so sooner for one program than for each operation.
    compiled = xp.jit(credited)

    def run(before: list[np.ndarray], drive: Drive) -> list[np.ndarray]:
        feed = drive.feed[0]
        total = [np.zeros_like(before[-1]) for _ in range(cell.n_currents)]
        for k, c in enumerate(cell.input_currents):
            total[c] = total[c] + feed[:, k * n : (k + 1) * n]
        for c in range(cell.n_currents if cell.bias else 0):
            total[c] = total[c] + drive.bias[c * n : (c + 1) * n]
        for k, c in enumerate(cell.recurrent_currents):
            total[c] = total[c] + before[-1] @ drive.w_rec[:, k * n : (k + 1) * n]
        total += [np.zeros_like(before[-1]) + theta for theta in drive.theta]
        return [np.asarray(xp.to_numpy(a)) for a in compiled(*(xp.asarray(a) for a in (*before, *total)))]

    return run


def generated(kernels: Kernels, before: list[np.ndarray], drive: Drive) -> list[np.ndarray]:
    """As `own`, by the kernels."""
    plan, shape = kernels.plan, before[-1].shape
    run = kernels.forward(drive, before, record=True)
    end = np.zeros((len(plan.carried), 1, *shape), kernels.dtype)
    for k, i in enumerate(plan.carried[:-1]):
        end[k] = weighting(shape, i)
    signal = weighting(shape, len(before) - 1).astype(kernels.dtype)[None, None]
    start, delta = kernels.backward(run, signal, end)
    credit = [np.zeros(shape, kernels.dtype) if s is None else s[0] for s in start]
    return [*run.last, run.z[1], *credit, *(d[0, 0] for d in delta)]
