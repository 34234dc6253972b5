"""Generated kernels of a layer over time, each one call inside a program of XLA's: its text, arguments and results."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from neko.kernels import layer, xla
from neko.kernels.layer import BLOCK, Drive, Run, stacked

RUN = '\n\n@njit(nogil=True, cache=True, error_model="numpy")\n'
FORWARD = """def run(feed, w_rec, bias, h, z0, K, V, last, z, rec, tape):
    batch, n = z0.shape
    time, span = z.shape[0] // batch - 1, tape.shape[1] // batch
    for b in range(batch):
        for j in range(n):
            z[b, j] = z0[b, j]
            for i in range(h.shape[0]):
                last[i, b, j] = h[i, b, j]
    # What is not recorded is written to the same place in every block of steps.
    for t in range(0, time, span):
        kernel(0, min(span, time - t), 0, batch, batch, n, {events}, feed[t * batch:], z[t * batch:], bias, w_rec, rec,
               K, V{arrays})
"""
BACKWARD = """def run(signal, end, z, tape, w_back, K, V, credit, delta, back):
    time, batch, n = z.shape[0] - 1, z.shape[1], z.shape[2]
    rows, emitted = end.shape[1] // batch, z.reshape(-1, n)
    for a in range(rows * batch):
        for j in range(n):
            back[a, j] = 0
            for i in range(end.shape[0]):
                credit[i, a, j] = end[i, a, j]
    {call}
"""
WITHOUT_RECURRENCE = "kernel(0, time, 0, batch, rows, batch, n, signal, back, emitted, K, V{arrays})"
RECURRENT = """for t in range(time - 1, -1, -1):
        kernel(t, t + 1, 0, batch, rows, batch, n, signal, back, emitted, K, V{arrays})
        back[:] = 0
        for c, k in {recurrent}:
            add_product(delta[c], t * batch, w_back[k], back)
"""
ADD_PRODUCT = """

@njit(nogil=True, error_model="numpy", pipeline_class=Distinct)
def add_product(a, r, w, out):
    batch, n = out.shape
    rows, columns = batch - batch % 4, n - n % 2
    for b in range(0, rows, 4):
        for i in range(0, columns, 2):
            a0, a1, a2, a3 = a[r + b, i], a[r + b + 1, i], a[r + b + 2, i], a[r + b + 3, i]
            c0, c1, c2, c3 = a[r + b, i + 1], a[r + b + 1, i + 1], a[r + b + 2, i + 1], a[r + b + 3, i + 1]
            for j in range(n):
                out[b, j] += a0 * w[i, j] + c0 * w[i + 1, j]
                out[b + 1, j] += a1 * w[i, j] + c1 * w[i + 1, j]
                out[b + 2, j] += a2 * w[i, j] + c2 * w[i + 1, j]
                out[b + 3, j] += a3 * w[i, j] + c3 * w[i + 1, j]
    for b in range(batch):
        for i in range(columns if b < rows else 0, n):
            for j in range(n):
                out[b, j] += a[r + b, i] * w[i, j]
"""
"""``out += a[r:r + batch] @ w``, in blocks, so that memory is read and written less often."""
ENTRIES = """def run(z, tape, K, V, found):
    time, batch, n = z.shape
    kernel(0, (time - 1) * batch, batch, n, z.reshape(-1, n), K, V{arrays})
"""


class Kernels:
    """The kernels of one cell, with its constants, as `neko.kernels.layer.Kernels` on JAX's arrays."""

    def __init__(self, traced: layer.Kernels) -> None:
        self.plan, self.dtype, self.units, self.arguments = traced.plan, traced.dtype, traced.units, traced.arguments

    def forward(self, drive: Drive, state: list[Any], *, record: bool) -> Run:
        """The layer from a state, whose fields are (batch, n) each; `record` keeps what the backward pass needs."""
        text, plan, (time, batch, _), n = self.plan.forward, self.plan, drive.feed.shape, self.units
        arrays = parts("last", len(state) - 1) + parts("tape", len(plan.tape))
        body = text.text + RUN + FORWARD.format(events=bool(plan.recurrent), arrays=arrays)
        h = jnp.stack(state[:-1]) if state[:-1] else jnp.zeros((0, batch, n), self.dtype)
        given = (stacked(drive.feed), drive.w_rec, drive.bias, h, state[-1], *self.arguments(text))
        span = time if record else min(time, BLOCK)
        shapes = (h.shape, ((time + 1) * batch, n), (batch, drive.w_rec.shape[1]), (len(plan.tape), span * batch, n))
        last, z, _, tape = xla.call(body, self.dtype, given, shapes)
        return Run(last, z.reshape(time + 1, batch, n), tape.reshape(len(plan.tape), span, batch, n))

    def backward(self, run: Run, signal: Any, end: Any, w_rec: Any = None) -> tuple[list[Any], list[Any]]:
        """As `neko.kernels.layer.Kernels.backward`."""
        text, plan, (time, rows, batch, n) = self.plan.backward, self.plan, signal.shape
        arrays = parts("tape", len(plan.tape)) + parts("credit", len(plan.carried)) + parts("delta", len(plan.delta))
        call = WITHOUT_RECURRENCE if w_rec is None else RECURRENT
        call = call.format(arrays=arrays, recurrent=tuple(plan.recurrent.items()))
        body = text.text + ADD_PRODUCT * (w_rec is not None) + RUN + BACKWARD.format(call=call)
        w_back = jnp.zeros((0, n, n), self.dtype) if w_rec is None else w_rec.T.reshape(len(plan.recurrent), n, n)
        start = end.reshape(len(end), rows * batch, n)
        # A signal of one row is copied unless its axes are joined.
        given = (signal.reshape(-1, n), start, run.z, stacked(run.tape), w_back, *self.arguments(text))
        shapes = (start.shape, (len(plan.delta), time * rows * batch, n), (rows * batch, n))
        credit, delta, back = xla.call(body, self.dtype, given, shapes)
        credit, back = credit.reshape(end.shape), back.reshape(rows, batch, n)
        return plan.before(credit, None if w_rec is None else back), list(
            delta.reshape(len(delta), time, rows, batch, n)
        )

    def entries(self, run: Run, wanted: tuple[tuple[int, int], ...]) -> list[Any]:
        """Entries of the step's Jacobian along a run, (time, batch, n) each."""
        text, (time, batch, n) = self.plan.entries(wanted), run.z[1:].shape
        arrays = parts("tape", len(self.plan.tape)) + parts("found", len(wanted))
        body = text.text + RUN + ENTRIES.format(arrays=arrays)
        given = (run.z, stacked(run.tape), *self.arguments(text))
        (found,) = xla.call(body, self.dtype, given, [(len(wanted), time * batch, n)])
        return list(found.reshape(len(wanted), time, batch, n))


def parts(name: str, count: int) -> str:
    """Further arguments of a call: the parts of an array."""
    return "".join(f", {name}[{k}]" for k in range(count))
