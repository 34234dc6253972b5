"""A user's own PyTorch or Keras model, for every rule that needs only a gradient."""

from __future__ import annotations

import sys
from typing import Any

from neko.models.adapted import Adapted


def adapt(
    module: Any,
    *,
    task_type: str | None = None,
    output: Any = None,
    converters: Any = None,
    products: str | None = None,
    compile: bool = False,
) -> Adapted:
    """A `torch.nn.Module` or `keras.Model` as a model of neko; the trained weights are written to the module itself.

    The backend is the module's own: PyTorch, or the one of Keras 3. An `Evaluator` calls this function by itself.

    Parameters
    ----------
    module : torch.nn.Module or keras.Model
        From inputs (batch, …) to outputs (batch, outputs) or (batch, time, outputs). Several inputs are a tuple (by
        position) or a dict (by name) of arrays.
    task_type : {'classification', 'regression'}, optional
        With 'classification' `predict` of the model alone converts logits to probabilities; by default it returns
        outputs as they are.
    output : int, str or callable, optional
        Selects the output of a module that returns more than one array: the position in a tuple (0 for
        `torch.nn.LSTM`, which returns outputs and states), the key of a dict, or a function of the returned object.
    converters : neko.Converters, optional
        The converters before and after every dense and convolutional layer; None computes without rounding.
    products : {'bfloat16'}, optional
        Mixed precision of a `torch.nn.Module` in float32: `torch.autocast` decides which of its operations are computed
        in bfloat16, their results too. Parameters, gradients, the loss and the optimizer stay in float32.
    compile : bool
        Compile a `torch.nn.Module` with `torch.compile`, as one program for training and one for evaluation, when they
        are first used (this takes up to minutes). Numbers are the same up to rounding. Rules that send credit back by
        other weights, converters and second derivatives run the module as it is.

    Raises
    ------
    TypeError
        For anything else; with converters for a module with other matrices, such as those of recurrent layers.
    ValueError
        For a module that synchronises gradients in its own backward pass (``DistributedDataParallel``), or that cannot
        run with other parameters than those it was compiled with; with `products` or `compile` for a Keras model; with
        `compile`, at the first pass, for a module that `torch.compile` cannot compile, or without a C++ compiler.
    """
    # The framework of such an object is already imported: nothing is loaded to find out.
    # Keras comes first, since on PyTorch its models are torch modules too.
    keras, torch = sys.modules.get("keras"), sys.modules.get("torch")
    if keras is not None and isinstance(module, keras.Model):
        if products is not None:
            raise ValueError(f"products={products!r}: a Keras model has its own, the dtype policies of keras.config")
        if compile:
            raise ValueError(
                "compile=True: expected a torch.nn.Module; a rule's jit=True compiles a Keras model on JAX"
            )
        from neko.models.keras_model import KerasModel

        return KerasModel(module, task_type, output, converters)
    if torch is not None and isinstance(module, torch.nn.Module):
        from neko.models.torch_module import TorchModule

        return TorchModule(module, task_type, output, converters, products, compile)
    raise TypeError(
        f"model={module!r}: expected a Model, for example ALIF(128, 10, pytorch_backend), a torch.nn.Module "
        "or a keras.Model"
    )
