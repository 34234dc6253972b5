"""A user's own PyTorch or Keras model, for every rule that needs only a gradient."""

from __future__ import annotations

import sys
from typing import Any

from neko.models.adapted import Adapted, check_names


def adapt(module: Any, *, task_type: str | None = None, output: Any = None) -> Adapted:
    """A `torch.nn.Module` or `keras.Model` as a model of neko; trained weights end in the module itself.

    The backend is the module's own: PyTorch, or what Keras 3 runs on. An `Evaluator` does this by itself.

    Parameters
    ----------
    module : torch.nn.Module or keras.Model
        Takes inputs (batch, …) and gives outputs (batch, outputs) or (batch, time, outputs). Several inputs are a
        tuple (by position) or a dict (by name) of arrays.
    task_type : {'classification', 'regression'}, optional
        With 'classification' `predict` of the model alone turns outputs into probabilities, unless they are; by
        default it gives them as they are.
    output : int, str or callable, optional
        Which part of what the module returns is the output, where it returns more than one array: the position in a
        tuple (0 for `torch.nn.LSTM`, which returns outputs and states), the key of a dict, or a function of it.

    Raises
    ------
    TypeError
        For anything else.
    ValueError
        For a module whose gradients would not be its own (``DistributedDataParallel``) or that takes no other
        parameters than those it was compiled with.
    """
    # Whoever has such an object has imported its framework: nothing is loaded to find out.
    # Keras comes first, for on PyTorch its models are torch modules too.
    if "keras" in sys.modules:
        from neko.models.keras_model import KerasModel

        if KerasModel.takes(module):
            return KerasModel(module, task_type, output)
    if "torch" in sys.modules:
        from neko.models.torch_module import TorchModule

        if TorchModule.takes(module):
            return TorchModule(module, task_type, output)
    raise TypeError(
        f"model={module!r}: expected a Model, for example ALIF(128, 10, pytorch_backend), a torch.nn.Module "
        "or a keras.Model"
    )


__all__ = ["Adapted", "adapt", "check_names"]
