"""A model's weights in a file, which any backend reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neko import identity
from neko.errors import CheckpointError
from neko.io import checkpoint
from neko.io.checkpoint import SUFFIX, listed, read, write
from neko.models.base import Trainable
from neko.models.model import Model


def trainable(model: Any) -> Trainable:
    """The model of an evaluator, or a model itself; TypeError for anything else."""
    found = getattr(model, "model", model)
    if not isinstance(found, Trainable):
        raise TypeError(f"model={model!r}: expected a model or an Evaluator")
    return found


def save_weights(model: Any, path: str | Path) -> Path:
    """Write a model's parameters and buffers; any backend reads them.

    Parameters
    ----------
    model : Model, Adapted or Evaluator
        What to save.
    path : path
        The file, whole or not there at all.
    """
    trained = trainable(model)
    arrays = {name: np.array(trained.xp.to_numpy(w)) for name, w in trained.params.items()}
    buffers = {name: np.array(trained.xp.to_numpy(b)) for name, b in (trained.buffers or {}).items()}
    return checkpoint.write(
        path, {"kind": "weights", "params": arrays, "buffers": buffers, "model": trained.identity()}
    )


def load_weights(model: Any, path: str | Path, *, changed: Sequence[str] = ()) -> None:
    """Give a model the parameters (and buffers) of a file of `save_weights` or of a checkpoint of any backend.

    Outputs are then those of the model that was saved, to rounding. A model that was not built yet is built.

    Parameters
    ----------
    model : Model, Adapted or Evaluator
        What gets them. Its backend and precision may be others.
    path : path
        The file.
    changed : sequence of str
        What is another one on purpose, such as ``("tau_m", "reset")``: weights in a model of other constants are
        another function.

    Raises
    ------
    CheckpointError
        If names or shapes are not the model's, or its cells, readout or layers have other constants than those that
        were saved; the message has both values. Files of a version that did not write them are taken as they are.
    ValueError
        For a name of `changed` that is of no part of the model.
    """
    trained = trainable(model)
    names = identity.check_names("changed", changed)
    state = checkpoint.read(path)
    told = state.get("model")
    if state.get("kind") == "training":
        told = state["identity"].get("model")
        state = state["learner"]
    if "params" not in state:
        raise CheckpointError(f"{path} holds no weights of a model")
    params, buffers = state["params"], state.get("buffers") or {}
    if isinstance(trained, Model) and not trained.params and "layers.0.w_in" in params:
        trained.build(int(params["layers.0.w_in"].shape[0]))
    xp = trained.xp
    new: dict[str, Any] = {}
    for kind, own, found in (("parameters", trained.params, params), ("buffers", trained.buffers or {}, buffers)):
        shapes = {name: tuple(w.shape) for name, w in own.items()}
        saved = {name: tuple(w.shape) for name, w in found.items()}
        if shapes != saved:
            raise CheckpointError(f"{path} has {kind} {saved!r}: this model has {shapes!r}")
        with xp.scope():
            new[kind] = {name: xp.asarray(found[name], dtype=own[name].dtype) for name in own}
    if told is not None:
        try:
            identity.compare({"model": told}, {"model": trained.identity()}, names, this="this model")
        except CheckpointError as error:
            raise CheckpointError(f"{path} does not fit: {error}; if on purpose, name it in `changed`") from error
    trained.params = new["parameters"]
    if trained.persistent:
        trained.buffers = new["buffers"]


__all__ = ["SUFFIX", "listed", "load_weights", "read", "save_weights", "write"]
