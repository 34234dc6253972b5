"""BPTT of the ALIF network as one would write it by hand in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.shapes import ALPHA, BETA, GAMMA, KAPPA, RHO, V_TH, data, weights


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


def training_step(shape: tuple[int, ...]) -> Callable[[], float]:
    """A function that does one step: forward, loss, BPTT, Adam."""
    x, y = (torch.from_numpy(a) for a in data(shape))
    p = {name: torch.from_numpy(w).requires_grad_() for name, w in weights(shape).items()}
    optimizer = torch.optim.Adam(p.values(), lr=1e-3)
    mask = 1.0 - torch.eye(shape[3])

    def step() -> float:
        optimizer.zero_grad()
        w_rec = p["w_rec"] * mask
        v = a = z = torch.zeros(shape[0], shape[3])
        spikes = []
        for current in (x.transpose(0, 1) @ p["w_in"]).unbind(0):
            v = ALPHA * v + current + z @ w_rec - V_TH * z
            a = RHO * a + z
            z = Spike.apply((v - BETA * a) / V_TH - 1.0)
            spikes.append(z)
        f, outputs = torch.zeros(shape[0], shape[4]), []
        for drive in (torch.stack(spikes) @ p["w_out"]).unbind(0):
            f = KAPPA * f + drive
            outputs.append(f)
        logits = torch.stack(outputs) + p["b_out"]
        loss = -(y * torch.log_softmax(logits, -1)).sum(-1).mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def products(shape: tuple[int, ...]) -> Callable[[], float]:
    """The matrix products of that step alone, forward and backward."""
    batch, time, _, n, _ = shape
    x = torch.from_numpy(data(shape)[0]).transpose(0, 1).contiguous()
    p = {name: torch.from_numpy(w) for name, w in weights(shape).items()}
    z = torch.rand(time, batch, n)
    rows = time * batch

    def step() -> float:
        x @ p["w_in"]
        for z_t in z.unbind(0):
            z_t @ p["w_rec"]
        y = z @ p["w_out"]
        y @ p["w_out"].T
        z.reshape(rows, -1).T @ y.reshape(rows, -1)
        for z_t in z.unbind(0):
            z_t @ p["w_rec"].T
        z.reshape(rows, -1).T @ z.reshape(rows, -1)
        return float((x.reshape(rows, -1).T @ z.reshape(rows, -1))[0, 0])

    return step
