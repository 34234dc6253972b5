"""Optimizers of PyTorch: torch.optim."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import torch

NAMED = {
    "sgd": torch.optim.SGD,
    "momentum": functools.partial(torch.optim.SGD, momentum=0.9),
    "adam": torch.optim.Adam,
    "adamw": functools.partial(torch.optim.AdamW, weight_decay=1e-2),
    "rmsprop": functools.partial(torch.optim.RMSprop, alpha=0.99, eps=1e-8),
    "adagrad": functools.partial(torch.optim.Adagrad, initial_accumulator_value=0.1, eps=1e-7),
}


@dataclass(frozen=True, eq=False)
class TorchUpdate:
    """A torch optimizer as an update: it owns leaf tensors, and new parameters are views of them."""

    create: Any
    injected: bool

    def init(self, params: Any) -> Any:
        """Leaf tensors by name, and the optimizer of them."""
        own = {name: p.detach().clone().requires_grad_() for name, p in params.items()}
        return own, self.create(list(own.values()))

    def step(self, params: Any, gradients: Any, state: Any, rate: Any) -> Any:
        """One step of the optimizer, in place on its own tensors."""
        own, optimizer = state
        for name, p in own.items():
            if params[name].data_ptr() != p.data_ptr():  # set from outside, or changed after the last update
                with torch.no_grad():
                    p.copy_(params[name])
            p.grad = gradients[name]
        if self.injected:
            for group in optimizer.param_groups:
                group["lr"] = float(rate)
        optimizer.step()
        return {name: p.detach() for name, p in own.items()}, state


def resolve(xp: Any, spec: Any) -> TorchUpdate:
    """An update from a name, or from a torch.optim class or factory ``params -> Optimizer``."""
    if isinstance(spec, str):
        if spec not in NAMED:
            raise ValueError(f"optimizer={spec!r}: expected one of {sorted([*NAMED, 'naive'])} or a torch.optim class")
        return TorchUpdate(functools.partial(NAMED[spec], lr=1e-3), True)
    if isinstance(spec, torch.optim.Optimizer) or not callable(spec):
        raise TypeError(
            f"optimizer={spec!r}: expected a name, or what makes an optimizer from parameters, "
            "for example functools.partial(torch.optim.SGD, lr=0.1)"
        )
    return TorchUpdate(spec, False)
