"""Any torch.nn.Module."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

from neko import backend as backends
from neko.adaptors.base import Adapted
from neko.typing import Array


class TorchModule(Adapted):
    """A `torch.nn.Module` by `torch.func.functional_call`.

    Parameters with ``requires_grad=False`` stay as they are. A training pass runs the module in training mode, with
    submodules that the user put into evaluation mode left in it if the module itself is in training mode; any other
    pass runs all of it in evaluation mode. Its modes are the user's again afterwards.
    """

    def __init__(self, module: torch.nn.Module, task_type: str | None) -> None:
        first = next(iter(module.parameters()), torch.zeros(()))
        dtype = "float64" if first.dtype == torch.float64 else "float32"
        device = None if first.device.type == "cpu" else str(first.device)
        super().__init__(module, backends.get("torch", device=device, dtype=dtype), task_type)

    @staticmethod
    def takes(module: Any) -> bool:
        """Whether it is a `torch.nn.Module`."""
        return isinstance(module, torch.nn.Module)

    def read(self) -> tuple[dict[str, Array], dict[str, Array]]:
        trainable = {name: p for name, p in self.module.named_parameters() if p.requires_grad}
        return copies(trainable), copies(dict(self.module.named_buffers()))

    def write(self, params: dict[str, Array], buffers: dict[str, Array]) -> None:
        own = dict(self.module.named_parameters()) if params else dict(self.module.named_buffers())
        with torch.no_grad():
            for name, value in {**params, **buffers}.items():
                own[name].copy_(value)

    def apply(
        self, params: dict[str, Array], buffers: dict[str, Array], x: Array, training: bool
    ) -> tuple[Array, dict[str, Array]]:
        # A module writes into its buffers; it gets copies.
        buffers = copies(buffers)
        with mode(self.module, training):
            y = torch.func.functional_call(self.module, (params, buffers), (x,))
        return y, buffers


def copies(tensors: dict[str, Any]) -> dict[str, Any]:
    """Copies without history."""
    return {name: t.detach().clone() for name, t in tensors.items()}


@contextlib.contextmanager
def mode(module: torch.nn.Module, training: bool) -> Iterator[None]:
    """The module in training or evaluation mode; afterwards every submodule is as it was."""
    if module.training and training:
        yield
        return
    before = [(part, part.training) for part in module.modules()]
    module.train(training)
    try:
        yield
    finally:
        for part, was in before:
            part.training = was
