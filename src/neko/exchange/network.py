"""A network in one file: the kind and the constants of its cells, and its weights."""

from __future__ import annotations

import dataclasses
import operator
from pathlib import Path
from typing import Any

from neko import backend as backends
from neko.cells import CELLS, Cell
from neko.errors import CheckpointError, ExchangeError
from neko.io import checkpoint
from neko.models import Model
from neko.models.weights import load_weights

PLAIN = (bool, int, float, str)


def save_network(model: Model, path: str | Path) -> Path:
    """Write a network; `neko.checkpoint.load_weights` reads the file too.

    Raises
    ------
    ExchangeError
        For a cell that is not Neko's own, one with a surrogate gradient that was chosen or with constants that learn,
        and a network of two directions or without weights.
    """
    described = describe_network(model)
    params = {name: model.xp.to_numpy(w).copy() for name, w in model.params.items()}
    saved = {"kind": "weights", "params": params, "buffers": {}, "model": model.identity(), "network": described}
    return checkpoint.write(path, saved)


def load_network(path: str | Path, backend: Any) -> Model:
    """The network that `save_network` wrote, on a backend.

    Raises
    ------
    CheckpointError
        For a damaged file, or one without a network.
    """
    state = checkpoint.read(path)
    try:
        xp = backends.get(backend) if isinstance(backend, str) else backend
        model = network_of(state["network"], state["params"], xp)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise CheckpointError(f"{path} holds no network, as `neko import` writes it: {error}") from error
    load_weights(model, path)
    return model


def describe_network(model: Any) -> dict[str, Any]:
    """Cells, readout and task of a network, as plain values; ExchangeError as `save_network`."""
    if not isinstance(model, Model) or not model.params or model.bidirectional:
        raise ExchangeError(f"{model!r}: expected a built neko.Model of one direction")
    if model.network.converters is not None:
        raise ExchangeError(f"{model!r}: expected a network without converters")
    readout = model.network.readout
    return {
        "cells": [describe(cell) for cell in model.network.cells],
        "readout": {"tau_out": readout.tau_out, "readout_scaling": readout.input_scaling},
        "task_type": model.task_type,
    }


def network_of(described: dict[str, Any], params: dict[str, Any], xp: Any) -> Model:
    """A network with initial weights, from its description and weights of its shapes; KeyError, TypeError, ValueError
    and others where these do not fit."""
    widths = [params[f"layers.{i}.w_in"].shape[1] for i in range(len(described["cells"]))]
    cells = [restore(cell, width) for cell, width in zip(described["cells"], widths, strict=True)]
    outputs, task = params["readout.w_out"].shape[1], described["task_type"]
    sizes = [params["layers.0.w_in"].shape[0], *(cell.units for cell in cells)]
    recurrent = sum(cell.units**2 * len(cell.recurrent_currents) for cell in cells)
    drawn = recurrent + sum(map(operator.mul, sizes, [*widths, outputs]))
    if drawn > (there := sum(w.size for w in params.values())):  # before they take memory
        raise ValueError(f"the network has {drawn:,} weights, {there:,} are there")
    model = Model(cells, outputs, xp, task_type=task, **described["readout"])
    return model.build(sizes[0])


def restore(described: dict[str, Any], width: int) -> Cell:
    """The cell of a description, whose inputs have `width` weights; a name is never that of a file to run."""
    currents = len(CELLS[described["cell"]].input_currents)
    if described["units"] * currents != width or not all(map(is_plain, described["options"].values())):
        raise ValueError(f"{described!r}: expected {width / currents:g} units, and plain values")
    if "surrogate" in described["options"]:
        raise ValueError("surrogate: expected the usual one")
    cell: Cell = CELLS[described["cell"]](width // currents, **described["options"])
    return cell


def is_plain(value: Any) -> bool:
    """Whether a value is a number, a text, or a sequence of these."""
    return all(isinstance(v, PLAIN) for v in (value if isinstance(value, tuple | list) else (value,)))


def describe(cell: Cell) -> dict[str, Any]:
    """Name and options of a cell of the registry, where these are plain values."""
    names = [name for name, kind in CELLS.items() if kind is type(cell)]
    given = {f.name: (getattr(cell, f.name), f.default) for f in dataclasses.fields(cell)[1:]}
    options = {name: value for name, (value, default) in given.items() if value != default}
    for name, value in options.items():
        if not names or not is_plain(value):
            raise ExchangeError(f"{cell!r}: {name} is not a plain value; expected numbers, of a cell of Neko")
    as_lists = {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}
    return {"cell": names[0], "units": cell.units, "options": as_lists}
