"""An evaluator as plain values, and from these again, with nothing in them that could be run."""

from __future__ import annotations

import dataclasses
from typing import Any

from neko.encoders import ENCODERS
from neko.errors import ExchangeError
from neko.evaluator import Evaluator
from neko.exchange.network import is_plain
from neko.losses import LOSSES
from neko.metrics import METRICS
from neko.models import Model
from neko.objective import FiringRate


def describe(evaluator: Evaluator) -> dict[str, Any]:
    """Loss, metrics and all other options of an evaluator; ExchangeError for parts that are code of one's own."""
    objective = evaluator.objective
    loss = dataclasses.replace(objective.loss, linked=False)
    if loss.name not in LOSSES or LOSSES[loss.name] != loss:
        raise ExchangeError(f"loss {loss.name!r}: expected one of {sorted(LOSSES)!r} without class weights")
    for metric in evaluator.metrics:
        if metric.name not in METRICS or METRICS[metric.name] != metric:
            raise ExchangeError(f"metric {metric.name!r}: expected some of {sorted(METRICS)!r}")
    return {
        "loss": loss.name,
        "metrics": [metric.name for metric in evaluator.metrics],
        "target": objective.target,
        "reduction": objective.reduction,
        "regularizer": None if objective.regularizer is None else dataclasses.asdict(objective.regularizer),
        "from_logits": evaluator.from_logits,
        "encoder": None if evaluator.encoder is None else encoder(evaluator.encoder),
    }


def encoder(given: Any) -> dict[str, Any]:
    """Name and options of an encoder of the registry."""
    names = [name for name, kind in ENCODERS.items() if kind is type(given)]
    options = {field.name: getattr(given, field.name) for field in dataclasses.fields(given)} if names else {}
    if not names or not all(map(is_plain, options.values())):
        raise ExchangeError(f"encoder {given!r}: expected one of {sorted(ENCODERS)!r} with numbers as options")
    return {"name": names[0], "options": options}


def restore(model: Model, described: dict[str, Any]) -> Evaluator:
    """The evaluator of a description; names are those of registries, never of files. ValueError, TypeError or KeyError
    for any other description."""
    known = {"loss", "metrics", "target", "reduction", "regularizer", "from_logits", "encoder"}
    if described.keys() != known:
        raise ValueError(f"evaluator: {sorted(described)!r}: expected {sorted(known)!r}")
    options = dict(described)
    if options["regularizer"] is not None:
        options["regularizer"] = FiringRate(**options["regularizer"])
    coded = options["encoder"]
    if coded is not None:
        options["encoder"] = ENCODERS[coded["name"]](**coded["options"])
    metrics = [METRICS[name] for name in options.pop("metrics")]
    return Evaluator(model, LOSSES[options.pop("loss")], metrics, **options)
