"""One step of a network of cells as ONNX."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from neko.arguments import as_path
from neko.exchange import stepwise
from neko.exchange.torch_module import step_program
from neko.io import files
from neko.models import Model

OPSET = 18
"""The version of ONNX's operators that are used."""
NEXT = ".next"
"""Ending of the names of the next state's tensors."""


def to_onnx(model: Model, path: str | Path) -> Path:
    """Write one step of a network of cells, on any backend, as ONNX with operators of opset 18.

    Inputs are ``x`` (batch, n_in) and the tensors of the state, each (batch, n), by names such as ``layers.0.v``;
    outputs are ``y`` (batch, outputs) and the next state as ``layers.0.v.next``. The state before the first step is
    zero, except for potentials that rest elsewhere (AdEx): it is noted in the metadata, ``rest.<name>`` with one number
    for every neuron where that is not zero.

    Raises
    ------
    ExchangeError
        As `neko.exchange.to_torch`.
    ImportError
        Without the packages of the extra `onnx`.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import neko
    >>> path = to_onnx(neko.LIF(8, 2, "torch").build(3), "net.onnx")  # doctest: +SKIP
    """
    path = as_path("path", path)
    missing = [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(f"{' and '.join(missing)} is not installed: pip install 'neko-learning[onnx]'")
    xp, program, x, state = step_program(stepwise.check(model))
    with quiet():
        made = torch.onnx.export(
            program,
            (x, state),
            dynamo=True,
            opset_version=OPSET,
            input_names=["x", *state],
            output_names=["y", *(f"{name}{NEXT}" for name in state)],
            external_data=False,
            verbose=False,
        )
    found: Any = made.model_proto
    tidy(found)
    for name, value in stepwise.rest(xp, model.network, 1).items():
        if value.any():
            found.metadata_props.add(key=f"rest.{name}", value=" ".join(f"{v:.9g}" for v in value[0].tolist()))
    return files.write(path, found.SerializeToString())


def tidy(found: Any) -> None:
    """Name the batch, and leave out where the graph came from."""
    for value in (*found.graph.input, *found.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    for part in (*found.graph.node, *found.graph.value_info, *found.graph.input, *found.graph.output):
        del part.metadata_props[:]
    del found.graph.metadata_props[:]
    del found.graph.value_info[:]
    found.graph.name = "step"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """A region in which PyTorch does not speak of its own parts."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
