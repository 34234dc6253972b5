"""Generated kernels on PyTorch's arrays by Triton, one persistent kernel for each sequence. Experimental.

Chosen by ``NEKO_KERNELS=triton``, for arrays on a CUDA device. What the kernels compute is verified in Triton's
interpreter only, and that they compile for CUDA; on a GPU they have never run, and no speed is claimed.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import torch

from neko.backend.generated import Offer
from neko.backend.protocol import Backend
from neko.cells.base import Cell
from neko.cells.learnable import learnt
from neko.kernels import layer, persistent
from neko.kernels import torch as fused
from neko.kernels.check import STEPS, difference
from neko.kernels.layer import Drive, Run, kernels_of, rebuilt
from neko.kernels.numba import Text
from neko.kernels.plan import Plan
from neko.kernels.tape import Steps
from neko.kernels.trace import Untraceable
from neko.typing import Array

REFUSED: dict[tuple[Plan, type[Cell]], str] = {}
"""Result of the comparison with live data: empty if the kernels agree with the step."""


def offer(xp: Backend, cell: Cell, state: Any) -> Offer:
    """The kernels of a cell for states like this one, on their device."""
    if importlib.util.find_spec("triton") is None:
        return Offer(None, "Triton is not installed")
    used = tuple(field is not None for field in state)
    try:
        traced = kernels_of(cell, xp.dtype_name, used, fused.dense, 1)
        persistent.forward(traced.plan), persistent.backward(traced.plan)
    except Untraceable as error:
        return Offer(None, str(error))
    if traced.plan.learnt:
        return Offer(None, f"constants learn: {', '.join(learnt(cell))}")
    reason = REFUSED.get((traced.plan, type(cell)), "")
    return Offer(None, reason) if reason else Offer(Layer(xp, cell, Kernels(traced, state[-1].device)))


class Kernels(layer.Kernels):
    """Kernels that take and give tensors of one device in place of NumPy's arrays."""

    def __init__(self, traced: layer.Kernels, device: Any) -> None:
        self.plan, self.dtype, self.units = traced.plan, traced.dtype, traced.units
        self.constants, self.device = traced.constants, device
        self.options = {"dtype": getattr(torch, self.dtype.name), "device": device}

    def tensor(self, a: Any) -> Array:
        return torch.as_tensor(a, **self.options).contiguous()

    def launch(self, text: Text, grid: tuple[int, ...], *arguments: Any, **flags: bool) -> None:
        kernel, n = persistent.compiled(text.text), self.units
        width = 1 << (n - 1).bit_length()
        constants = map(self.tensor, self.arguments(text))
        tuned = {"BLOCK": max(1, min(16, 8192 // width)), "num_warps": max(1, min(16, width // 64)), "num_stages": 1}
        with torch.cuda.device_of(arguments[-1]):
            kernel[grid](*constants, *arguments, **flags, N=width, **tuned)

    def forward(self, drive: Drive, state: list[Any], *, record: bool) -> Run:
        feed, fields, plan = self.tensor(drive.feed), [self.tensor(f) for f in state], self.plan
        (time, batch, _), n = feed.shape, self.units
        z = torch.cat([fields[-1][None], torch.empty((time, batch, n), **self.options)])
        h = torch.stack(fields[:-1]) if fields[:-1] else torch.empty((0, batch, n), **self.options)
        tape = torch.empty((len(plan.tape), time if record else 0, batch, n), **self.options)
        arrays = (feed, self.tensor(drive.bias), self.tensor(drive.w_rec), h, z, tape)
        self.launch(persistent.forward(plan), (batch,), time, batch, n, *arrays, RECORD=record)
        return Run(h, z, tape)

    def backward(self, run: Run, signal: Any, end: Any, w_rec: Any = None) -> tuple[list[Any], list[Any]]:
        plan, given, credit = self.plan, self.tensor(signal), self.tensor(end)
        (time, rows, batch, n), recurrent = given.shape, w_rec is not None
        delta = torch.empty((len(plan.currents), time, rows, batch, n), **self.options)
        back, w_back = torch.empty_like(given[0]), self.tensor(w_rec.T if recurrent else [])
        arrays = (given, self.tensor(run.z), self.tensor(run.tape), credit, delta, back, w_back)
        self.launch(persistent.backward(plan), (batch, rows), time, rows, batch, n, *arrays, RECURRENT=recurrent)
        return plan.before(credit, back if recurrent else None), list(delta)

    def entries(self, run: Run, wanted: tuple[tuple[int, int], ...]) -> list[Any]:
        time, batch, n = run.z[1:].shape
        found = torch.empty((len(wanted), time, batch, n), **self.options)
        self.launch(persistent.entries(self.plan, wanted), (time * batch,), batch, n, run.z, run.tape, found)
        return list(found)


class OnArrays:
    """Kernels that take and give NumPy's arrays, for the comparison with live data."""

    def __init__(self, kernels: Kernels) -> None:
        self.kernels, self.plan, self.dtype = kernels, kernels.plan, kernels.dtype

    def forward(self, drive: Drive, state: list[np.ndarray], *, record: bool) -> Run:
        run: Any = self.kernels.forward(drive, state, record=record)
        return Run(*(a.numpy(force=True) for a in run))

    def backward(self, run: Run, signal: np.ndarray, end: np.ndarray) -> tuple[list[Any], list[Any]]:
        start, delta = self.kernels.backward(run, signal, end)
        return [None if s is None else s.numpy(force=True) for s in start], [d.numpy(force=True) for d in delta]


class Layer(fused.Layer):
    """A layer of a cell over time, as on the CPU; its input's product is PyTorch's."""

    kernels: Kernels

    def agrees(self, weights: fused.Weights, x: Array, state: Any) -> bool:
        """Whether the kernels agree with the cell's own step on these data; asked of the data once."""
        key = self.kernels.plan, type(self.cell)
        if key not in REFUSED:
            w_in, *rest = weights[:3]
            with torch.no_grad():
                drive = Drive(*(self.xp.to_numpy(a) for a in (x[:STEPS] @ w_in, *self.filled(*rest))))
                try:
                    found: Any = OnArrays(self.kernels)
                    REFUSED[key] = difference(self.xp, self.cell, found, drive, state)
                except Exception as error:  # Triton and the compilers below it raise errors of no common class
                    REFUSED[key] = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        return not REFUSED[key]

    def filled(self, w_rec: Array | None, bias: Array | None) -> tuple[Array, Array]:
        """Recurrent weights and bias, without blocks and entries where there are none."""
        nothing = self.kernels.tensor(np.zeros((self.cell.units, 0)))
        return nothing if w_rec is None else w_rec, nothing[0] if bias is None else bias

    def unroll(self, weights: fused.Weights, x: Array, state: Any) -> tuple[Any, Array]:
        """The last state, and the emissions (time, batch, n), differentiable by weights, input and state."""
        w_in, *rest = weights[:3]
        fields = [field for field in state if field is not None]
        given = (x @ w_in, *self.filled(*rest), *fields)
        record = torch.is_grad_enabled() and any(a.requires_grad for a in given)
        *last, z = Unrolled.apply(self.kernels, record, *given)
        return rebuilt(state, [*last, z[-1]]), z

    def record(self, weights: fused.Weights, x: Array, state: Any) -> tuple[Any, Array, Array, Tape]:
        """The last state, the emissions before and after each step, and the step Jacobians."""
        w_in, *rest = weights[:3]
        with torch.no_grad():
            drive = Drive(x @ w_in, *self.filled(*rest))
            run = self.kernels.forward(drive, [field for field in state if field is not None], record=True)
        return rebuilt(state, [*run.last, run.z[-1]]), run.z[:-1], run.z[1:], Tape(self.kernels, run)


class Tape(fused.Tape):
    """Step Jacobians of a layer along a run."""

    def adjoint(self, signal: Array, end: Any) -> tuple[tuple[Array | None, ...], tuple[Array, ...]]:
        batch, n = self.run.z.shape[1:]
        by_rows = signal.detach().reshape(signal.shape[0], -1, batch, n)
        zero = torch.zeros_like(by_rows[0])
        credit = [zero if end[i] is None else end[i].detach().reshape(zero.shape) for i in self.plan.carried]
        start, delta = self.kernels.backward(self.run, by_rows, torch.stack(credit))
        first = tuple(None if s is None else s.reshape(signal.shape[1:]) for s in start)
        return first, tuple(d.reshape(signal.shape) for d in delta)

    def computed(self, wanted: tuple[tuple[int, int], ...]) -> list[Array]:
        return Steps.computed(self, wanted)


class Unrolled(torch.autograd.Function):
    """A layer over time as one differentiable operation on its drive and state: last fields, then emissions."""

    @staticmethod
    def forward(ctx: Any, kernels: Kernels, record: bool, feed: Any, w_rec: Any, bias: Any, *fields: Any) -> Any:
        run = kernels.forward(Drive(feed, w_rec, bias), list(fields), record=record)
        ctx.kernels, ctx.run, ctx.w_rec = kernels, run, w_rec
        return (*run.last, run.z[1:])

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *credits: Any) -> Any:
        plan, pre = ctx.kernels.plan, ctx.run.z[:-1].flatten(0, 1)
        *last, signal = credits
        zero = torch.zeros_like(signal[0])
        end = torch.stack([zero if i == len(last) else last[i] for i in plan.carried])
        start, found = ctx.kernels.backward(ctx.run, signal[:, None], end[:, None], ctx.w_rec)
        delta = [d[:, 0] for d in found]
        reached = [pre.T @ delta[c].flatten(0, 1) for c in plan.recurrent]
        d_rec = torch.cat(reached, dim=1) if reached else torch.zeros_like(ctx.w_rec)
        d_bias = torch.cat([d.sum((0, 1)) for d in delta]) if plan.bias else None
        d_state = [None if s is None else s[0] for s in start]
        return None, None, torch.cat([delta[c] for c in plan.inputs], dim=2), d_rec, d_bias, *d_state
