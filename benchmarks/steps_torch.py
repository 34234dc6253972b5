"""The training step of a network in PyTorch: the same loss and optimizer for all that are written in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

from benchmarks.shapes import LEARNING_RATE, Steps, data, weights


def inputs(shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Inputs (time, batch, n_in) and targets."""
    x, y = (torch.from_numpy(a) for a in data(shape))
    return x.transpose(0, 1).contiguous(), y


def tensors(shape: tuple[int, ...]) -> dict[str, Any]:
    """The initial weights."""
    return {name: torch.from_numpy(w) for name, w in weights(shape).items()}


def training(forward: Callable[[Any], tuple[Any, Any]], parameters: Iterable[Any], shape: tuple[int, ...]) -> Steps:
    """Cross entropy at every step and Adam for a network ``x -> (logits, spikes)``, all with time leading."""
    x, y = inputs(shape)
    optimizer = torch.optim.Adam(list(parameters), lr=LEARNING_RATE)

    def step() -> float:
        optimizer.zero_grad()
        logits, _ = forward(x)
        loss = -(y * torch.log_softmax(logits, -1)).sum(-1).mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    @torch.no_grad()
    def rate() -> float:
        return float(forward(x)[1].mean())

    return Steps(step, rate)
