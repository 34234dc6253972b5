"""The model that a configuration describes."""

from __future__ import annotations

from typing import Any

from neko import backend as backends
from neko import cells
from neko.arguments import check_choice
from neko.backend.protocol import Backend
from neko.cells import Learnable
from neko.cells.quantiser import Quantiser
from neko.datasets import Dataset
from neko.evaluator import Evaluator
from neko.exchange import load_network
from neko.models import Converters, Model
from neko.objective import FiringRate
from neko.registry import called, separated
from neko.runs.config import Config
from neko.runs.updating import applied


def build_evaluator(
    config: Config, data: Dataset, *, chain: int = 0, regularizer: FiringRate | None = None
) -> Evaluator:
    """A layer of cells with a readout, its loss and its metrics.

    The data set gives the number and kind of outputs, and the loss and metrics where the configuration names none; each
    `chain` of a sampler draws its own weights.
    """
    xp = backends.get(config.backend, device=config.processor, dtype=config.dtype, products=config.products)
    if config.network is not None and config.converters is not None:
        raise ValueError(f"converters={config.converters!r}: expected none around the network of a file")
    model = build_model(config, data, xp, chain) if config.network is None else begun(config.network, data, xp)
    loss, metrics = config.loss, config.metrics
    if loss is None:
        loss = "categorical_crossentropy" if data.task_type == "classification" else "mean_squared_error"
    usual = [
        *(["accuracy"] if data.task_type == "classification" else []),
        *(["firing_rate"] if model.cells[0].spiking else []),
    ]
    return Evaluator(
        model,
        loss=loss,
        metrics=usual if metrics is None else separated(metrics),
        target=config.target,
        regularizer=regularizer,
        encoder=config.encoder,
    )


def build_model(config: Config, data: Dataset, xp: Backend, chain: int) -> Model:
    """The network that the options describe, before its first data."""
    name, options = called(config.cell, learnable=Learnable)
    cell: Any = cells.get(name)
    if not config.recurrent and not hasattr(cell, "recurrent"):
        raise ValueError(f"cell {name!r} has no feed-forward form: expected lif or alif")
    layer = cell(config.hidden, **options, **({} if config.recurrent else {"recurrent": False}))
    seed, both = config.seed + chain, config.bidirectional
    around = build_converters(config.converters)
    return Model(layer, data.outputs, xp, task_type=data.task_type, bidirectional=both, converters=around, seed=seed)


def build_converters(text: str | None) -> Converters | None:
    """The converters of ``dac(bits=6, full_scale=4.0), adc(bits=8, full_scale=16.0)``, or one of both."""
    if text is None:
        return None
    quantisers = {}
    for name, options in map(called, separated(text)):
        check_choice("converters", name, ("dac", "adc"))
        if name in quantisers:
            raise ValueError(f"converters={text!r}: expected {name} once")
        quantisers[name] = applied(f"converter {name!r}", Quantiser, options)
    return Converters(**quantisers)


def begun(network: str, data: Dataset, xp: Backend) -> Model:
    """The network of a file, for a data set."""
    model = load_network(network, xp)
    if model.outputs != data.outputs:
        raise ValueError(f"network={network!r} has {model.outputs} outputs: this data set needs {data.outputs}")
    model.task_type = data.task_type
    return model
