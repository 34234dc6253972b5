"""A model as a folder by the habits of model hubs: weights, configuration and card, and nothing that could be run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from neko import __version__
from neko import backend as backends
from neko.arguments import as_path
from neko.errors import CheckpointError
from neko.evaluator import Evaluator
from neko.exchange import described
from neko.exchange.card import card
from neko.exchange.network import describe_network, network_of
from neko.io import files, limited, plain

FORMAT = 1
"""Version of the layout; a reader refuses higher ones."""
WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
LARGEST = 2**32
"""Bytes that the weights may have: 4 GiB."""


def save_pretrained(
    model: Any,
    folder: str | Path,
    *,
    licence: str | None = None,
    rule: str | None = None,
    data: str | None = None,
    measures: dict[str, float] | None = None,
) -> Path:
    """Write a network, or an evaluator with one, as a folder: ``model.safetensors``, ``config.json``, ``README.md``.

    Weights keep their names and precision; they are plain safetensors, which other libraries read. The card is for
    people: what the network is, what it was trained by and on, what was measured, and how to load it.

    Parameters
    ----------
    model : Model or Evaluator
        A built network of one direction, with cells of Neko.
    folder : path
        The three files in it are replaced, others stay.
    licence : str, optional
        Of the weights, as the hubs' identifiers such as 'mit' or 'cc-by-4.0'.
    rule, data : str, optional
        What the network was trained by, and on.
    measures : dict of float, optional
        Such as what `Evaluator.evaluate` returns for held-out data.

    Raises
    ------
    ExchangeError
        For a module, a cell, a loss, a metric or an encoder of your own, which could not be loaded without its code;
        for other surrogate gradients than the usual one, constants that learn, and two directions.
    OSError
        If the folder cannot be written.

    Examples
    --------
    >>> import neko
    >>> model = neko.Evaluator(neko.LIF(8, 2, "torch").build(3), "categorical_crossentropy", ["accuracy"])
    >>> folder = save_pretrained(model, "digits", licence="mit", rule="eprop")  # doctest: +SKIP
    >>> again = neko.load_pretrained("digits", backend="jax")  # doctest: +SKIP
    """
    folder = as_path("folder", folder)
    for name, value in (("licence", licence), ("rule", rule), ("data", data)):
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{name}={value!r}: expected a text")
    network: Any = model.model if isinstance(model, Evaluator) else model
    config = {
        "library": "neko",
        "neko_version": __version__,
        "format": FORMAT,
        "network": describe_network(network),
        "dtype": network.xp.dtype_name,
        "evaluator": described.describe(model) if isinstance(model, Evaluator) else None,
        "training": {"rule": rule, "data": data, "measures": measures, "licence": licence},
    }
    weights = {name: np.ascontiguousarray(network.xp.to_numpy(w)) for name, w in network.params.items()}
    files.prepare(folder)
    files.write(folder / WEIGHTS, save_tensors(weights, {"format": "neko"}))
    files.write(folder / CARD, card(network, config, folder.name).encode())
    files.write(folder / CONFIG, (json.dumps(config, indent=2) + "\n").encode())
    return folder


def load_pretrained(folder: str | Path, *, backend: Any = None) -> Any:
    """The network, or the evaluator with one, that `save_pretrained` wrote; nothing in the folder is run.

    Parameters
    ----------
    folder : path
        With ``config.json`` and ``model.safetensors``, or links to them, as in the cache of a hub.
    backend : Backend or str, optional
        Where arrays live, such as 'jax'; by default the first that is installed. By name it has the precision of the
        saved weights.

    Returns
    -------
    Evaluator or Model
        As saved.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    CheckpointError
        For files that are damaged, of a newer layout, or do not fit each other.
    """
    folder = as_path("folder", folder)
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} has no {name}: expected a folder that neko.save_pretrained wrote")
    config = read_config(folder / CONFIG)
    try:
        weights = load_tensors(limited.content(folder / WEIGHTS, LARGEST))
    except (SafetensorError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise CheckpointError(f"{folder / WEIGHTS} is truncated or no safetensors file ({error})") from error
    try:
        place = backends.default() if backend is None else backend
        xp = backends.get(place, dtype=config["dtype"]) if isinstance(place, str) else place
        model = network_of(config["network"], weights, xp)
        found = {name: (w.shape, w.dtype.name) for name, w in weights.items()}
        expected = {name: (tuple(w.shape), config["dtype"]) for name, w in model.params.items()}
        if found != expected:
            raise ValueError(f"the weights are {found!r}, the network of the configuration has {expected!r}")
        if not all(np.isfinite(w).all() for w in weights.values()):
            raise ValueError("a weight is not finite")
        with xp.scope():
            model.params = {name: xp.asarray(weights[name], dtype=xp.dtype) for name in model.params}
        return model if config["evaluator"] is None else described.restore(model, config["evaluator"])
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise CheckpointError(f"{folder} holds no network that neko.save_pretrained wrote: {error}") from error


def read_config(path: Path) -> dict[str, Any]:
    """A configuration; CheckpointError for one that is too large, no JSON object, or of a newer layout."""
    try:
        config = plain.read_json(path)
    except ValueError as error:
        raise CheckpointError(str(error)) from error
    if not isinstance(config, dict) or config.get("library") != "neko":
        raise CheckpointError(f"{path} was not written by neko: expected 'library': 'neko'")
    layout = config.get("format")
    if not isinstance(layout, int) or layout > FORMAT:
        raise CheckpointError(f"{path} has layout {layout!r}: this is neko {__version__}, which reads up to {FORMAT}")
    return config
