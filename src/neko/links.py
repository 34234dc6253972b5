"""The meaning of a model's outputs for a loss and metrics."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from neko.losses import Loss
from neko.metrics import Metric
from neko.models.base import Trainable


def linked(loss: Loss, model: Trainable, from_logits: bool | None) -> Loss:
    """The loss with `linked` set: whether the outputs of this prepared model have already passed its link.

    `from_logits` is True for outputs before the link, False for outputs after it, None to decide by the model's ending.
    ValueError for outputs that do not fit the loss, or if they may be either.
    """
    if loss.link == "identity":
        if from_logits is not None:
            raise ValueError(f"from_logits={from_logits!r}: the loss {loss.name!r} has no link; leave it out")
        return loss
    if loss.link == "softmax" and model.outputs < 2:
        raise ValueError(
            f"loss={loss.name!r} of a model with {model.outputs} output: expected two or more classes; one output "
            "for yes or no needs 'binary_crossentropy'"
        )
    if from_logits is not None:
        return dataclasses.replace(loss, linked=not from_logits)
    ending = model.ending
    after = {"softmax": ("softmax",), "sigmoid": ("sigmoid", "softmax"), "log": ()}[loss.link]
    before = {"softmax": (None, "log_softmax"), "sigmoid": (None,), "log": (None,)}[loss.link]
    if ending not in (*after, *before):
        raise ValueError(
            f"loss={loss.name!r} of a model that ends in {ending}: expected {' or '.join((*after, 'logits'))}; "
            "remove that last function, choose another loss, or give from_logits"
        )
    if ending is None and loss.link == "sigmoid" and model.bounded:
        raise ValueError(
            f"loss={loss.name!r}: all outputs of the first batch lie between 0 and 1, as after a sigmoid: give "
            "from_logits=False for probabilities, or from_logits=True for logits"
        )
    return dataclasses.replace(loss, linked=ending in after)


def check_metrics(loss: Loss, metrics: Iterable[Metric], outputs: int) -> None:
    """ValueError for a metric that is not defined under this loss with this number of outputs."""
    for metric in metrics:
        if metric.of_probabilities and loss.link != "softmax":
            raise ValueError(
                f"metric {metric.name!r}: outputs under the loss {loss.name!r} are no class probabilities; leave the "
                "metric out, or take a cross-entropy"
            )
        if outputs < 2 and metric.needs_classes(loss.link):
            raise ValueError(
                f"metric {metric.name!r} of one output under the loss {loss.name!r}: no classes to tell apart; "
                "leave the metric out, or take 'binary_crossentropy' for yes or no"
            )
