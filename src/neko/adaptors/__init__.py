"""A user's own PyTorch or Keras model, for every rule that needs only a gradient."""

from __future__ import annotations

import sys
from typing import Any

from neko.adaptors.base import Adapted


def adapt(module: Any, *, task_type: str | None = None) -> Adapted:
    """A `torch.nn.Module` or `keras.Model` as a model of neko; trained weights end in the module itself.

    The backend is the module's own: PyTorch, or what Keras 3 runs on. An `Evaluator` does this by itself.

    Parameters
    ----------
    module : torch.nn.Module or keras.Model
        Takes inputs (batch, …) and gives outputs (batch, outputs) or (batch, time, outputs).
    task_type : {'classification', 'regression'}
        Whether `predict` turns outputs into probabilities.

    Raises
    ------
    TypeError
        For anything else.
    """
    # Whoever has such an object has imported its framework: nothing is loaded to find out.
    # Keras comes first, for on PyTorch its models are torch modules too.
    if "keras" in sys.modules:
        from neko.adaptors.keras import KerasModel

        if KerasModel.takes(module):
            return KerasModel(module, task_type)
    if "torch" in sys.modules:
        from neko.adaptors.torch import TorchModule

        if TorchModule.takes(module):
            return TorchModule(module, task_type)
    raise TypeError(
        f"model={module!r}: expected a Model, for example ALIF(128, 10, pytorch_backend), a torch.nn.Module "
        "or a keras.Model"
    )


__all__ = ["Adapted", "adapt"]
