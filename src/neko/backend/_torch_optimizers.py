"""Optimizers of PyTorch: torch.optim."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import torch
from torch.optim.lr_scheduler import LRScheduler

NAMED = {
    "sgd": torch.optim.SGD,
    "momentum": functools.partial(torch.optim.SGD, momentum=0.9),
    "nesterov": functools.partial(torch.optim.SGD, momentum=0.9, nesterov=True),
    "adam": functools.partial(torch.optim.Adam, betas=(0.9, 0.999), eps=1e-8),
    "adamw": functools.partial(torch.optim.AdamW, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2),
    "adamax": functools.partial(torch.optim.Adamax, betas=(0.9, 0.999), eps=1e-8),
    "rmsprop": functools.partial(torch.optim.RMSprop, alpha=0.99, eps=1e-8),
    "adagrad": functools.partial(torch.optim.Adagrad, initial_accumulator_value=0.1, eps=0.0),
}
EXAMPLE = "for example functools.partial(torch.optim.SGD, lr=0.1)"


@dataclass(frozen=True, eq=False)
class TorchUpdate:
    """A torch optimizer as an update; it works in place on tensors of its own.

    Parameters go in and come out as copies, so no array a caller holds ever changes. The state is used up by a
    step: keep the returned one. `injected`: the rate of each step replaces its own.
    """

    create: Any
    injected: bool

    def init(self, params: dict[str, Any]) -> Any:
        """Leaf tensors by name, the optimizer of them, and its scheduler or None."""
        own = {name: p.detach().clone().requires_grad_() for name, p in params.items()}
        made = self.create(list(own.values()))
        optimizer, scheduler = (made.optimizer, made) if isinstance(made, LRScheduler) else (made, None)
        if not isinstance(optimizer, torch.optim.Optimizer) or isinstance(optimizer, torch.optim.LBFGS):
            raise TypeError(
                f"optimizer={self.create!r} made {made!r}: expected a torch.optim.Optimizer that needs no closure, "
                f"or an LRScheduler of one; {EXAMPLE}"
            )
        return own, optimizer, scheduler

    def step(self, params: dict[str, Any], gradients: dict[str, Any], state: Any, rate: Any) -> Any:
        """One step of the optimizer and, if there is one, of its scheduler."""
        own, optimizer, scheduler = state
        with torch.no_grad():
            for name, p in own.items():
                p.copy_(params[name])
                # A copy: some optimizers write into the gradient.
                p.grad = gradients[name].detach().clone()
        if self.injected:
            for group in optimizer.param_groups:
                group["lr"] = float(rate)
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        return {name: p.detach().clone() for name, p in own.items()}, state


def resolve(xp: Any, spec: Any) -> TorchUpdate:
    """An update from a name, or from what makes an optimizer (or a scheduler of one) out of parameters."""
    if isinstance(spec, str):
        if spec not in NAMED:
            raise ValueError(f"optimizer={spec!r}: expected one of {sorted([*NAMED, 'naive'])} or a torch.optim class")
        return TorchUpdate(functools.partial(NAMED[spec], lr=1e-3), True)
    if isinstance(spec, torch.optim.Optimizer | LRScheduler):
        raise TypeError(
            f"optimizer={spec!r} is bound to other parameters: pass what makes it from parameters instead, {EXAMPLE}"
        )
    if not callable(spec):
        raise TypeError(f"optimizer={spec!r}: expected a name, or what makes an optimizer from parameters, {EXAMPLE}")
    return TorchUpdate(spec, False)
