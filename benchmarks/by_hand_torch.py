"""BPTT of the ALIF network as one would write it by hand in PyTorch."""

from __future__ import annotations

from typing import Any

import torch

from benchmarks import steps_torch
from benchmarks.shapes import ALPHA, BETA, GAMMA, KAPPA, RHO, Steps


class Spike(torch.autograd.Function):
    """Heaviside step with a triangular surrogate."""

    @staticmethod
    def forward(ctx: Any, u: Any) -> Any:
        ctx.save_for_backward(u)
        return (u > 0).float()

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        (u,) = ctx.saved_tensors
        return gradient * (GAMMA - GAMMA * u.abs()).clamp_(min=0)


def training(shape: tuple[int, ...], v_th: float) -> Steps:
    """Forward, loss, BPTT, Adam."""
    p = {name: w.requires_grad_() for name, w in steps_torch.tensors(shape).items()}
    mask = 1.0 - torch.eye(shape[3])

    def forward(x: Any) -> tuple[Any, Any]:
        w_rec = p["w_rec"] * mask
        v = a = z = torch.zeros(shape[0], shape[3])
        spikes = []
        for current in (x @ p["w_in"]).unbind(0):
            v = ALPHA * v + current + z @ w_rec - v_th * z
            a = RHO * a + z
            z = Spike.apply(v / v_th - BETA * a - 1.0)
            spikes.append(z)
        f, outputs = torch.zeros(shape[0], shape[4]), []
        z = torch.stack(spikes)
        for drive in (z @ p["w_out"]).unbind(0):
            f = KAPPA * f + drive
            outputs.append(f)
        return torch.stack(outputs) + p["b_out"], z

    return steps_torch.training(forward, p.values(), shape)


def products(shape: tuple[int, ...], v_th: float, recurrent_backward: bool) -> Steps:
    """The matrix products of a step alone: of BPTT, or without those that carry errors back through `w_rec`."""
    batch, time, _, n, _ = shape
    x, _ = steps_torch.inputs(shape)
    p = steps_torch.tensors(shape)
    z = torch.rand(time, batch, n)
    rows = time * batch

    def step() -> float:
        x @ p["w_in"]
        for z_t in z.unbind(0):
            z_t @ p["w_rec"]
        y = z @ p["w_out"]
        y @ p["w_out"].T
        z.reshape(rows, -1).T @ y.reshape(rows, -1)
        if recurrent_backward:
            for z_t in z.unbind(0):
                z_t @ p["w_rec"].T
        z.reshape(rows, -1).T @ z.reshape(rows, -1)
        return float((x.reshape(rows, -1).T @ z.reshape(rows, -1))[0, 0])

    return Steps(step)
