"""A model's weights in a file that any backend reads."""

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
    """Write a model's parameters and buffers to a file that any backend reads.

    Parameters
    ----------
    model : Model, Adapted or Evaluator
        What to save.
    path : path
        The file; it is written completely or not at all.
    """
    trained = trainable(model)
    arrays = {name: np.array(trained.xp.to_numpy(w)) for name, w in trained.params.items()}
    buffers = {name: np.array(trained.xp.to_numpy(b)) for name, b in (trained.buffers or {}).items()}
    saved = {"kind": "weights", "params": arrays, "buffers": buffers, "model": trained.identity()}
    return checkpoint.write(path, saved)


def load_weights(model: Any, path: str | Path, *, changed: Sequence[str] = ()) -> None:
    """Load parameters (and buffers) from a file of `save_weights`, or from a checkpoint, of any backend.

    Outputs then equal those of the saved model up to rounding. A model without parameters is built.

    Parameters
    ----------
    model : Model, Adapted or Evaluator
        The model to load into. Its backend and precision may differ.
    path : path
        The file.
    changed : sequence of str
        Constants that differ on purpose, such as ``("tau_m", "reset")``; with other constants the same weights compute
        another function.

    Raises
    ------
    CheckpointError
        If names or shapes are not the model's, or its cells, readout or layers have other constants than the saved
        ones; the message gives both values. Files of versions that did not store constants are not checked for them.
    ValueError
        For a name of `changed` that the model does not have.
    """
    trained = trainable(model)
    names = identity.check_names("changed", changed)
    with checkpoint.expected(path):
        load_state(trained, checkpoint.read(path), path, names)


def load_state(trained: Any, state: dict[str, Any], path: str | Path, names: Any) -> None:
    """Load the parameters and buffers of a file's state into a model."""
    described = state.get("model")
    if state.get("kind") == "training":
        described = state["identity"].get("model")
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
    if described is not None:
        try:
            identity.compare({"model": described}, {"model": trained.identity()}, names, this="this model")
        except CheckpointError as error:
            raise CheckpointError(f"{path} does not fit: {error}; if on purpose, name it in `changed`") from error
    trained.params = new["parameters"]
    if trained.persistent:
        trained.buffers = new["buffers"]


__all__ = ["SUFFIX", "listed", "load_weights", "read", "save_weights", "write"]
