"""What a model's outputs mean to a loss and to metrics."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from neko.losses import Loss
from neko.metrics import Metric
from neko.models.base import Trainable


def linked(loss: Loss, model: Trainable, from_logits: bool | None) -> Loss:
    """The loss, told whether this model's outputs have passed its link already.

    Parameters
    ----------
    loss : Loss
        With a link, say the softmax of a cross-entropy.
    model : Trainable
        Prepared, so that it is known what it ends in.
    from_logits : bool or None
        What the person says: True for outputs before the link, False after it, None to go by the model's ending.

    Raises
    ------
    ValueError
        For outputs that do not fit the loss, or of which can't be told which of the two they are.
    """
    if loss.link == "identity":
        if from_logits is not None:
            raise ValueError(
                f"from_logits={from_logits!r}: the loss {loss.name!r} takes outputs as they are; leave it out"
            )
        return loss
    if loss.link == "softmax" and model.outputs < 2:
        raise ValueError(
            f"loss={loss.name!r} of a model with {model.outputs} output: expected two or more classes; one output "
            "for yes or no takes 'binary_crossentropy'"
        )
    if from_logits is not None:
        return dataclasses.replace(loss, linked=not from_logits)
    ending = model.ending
    after = {"softmax": ("softmax",), "sigmoid": ("sigmoid", "softmax"), "log": ()}[loss.link]
    before = {"softmax": (None, "log_softmax"), "sigmoid": (None,), "log": (None,)}[loss.link]
    if ending not in (*after, *before):
        raise ValueError(
            f"loss={loss.name!r} of a model that ends in {ending}: expected {' or '.join((*after, 'logits'))}; "
            "take the ending off, choose another loss, or say from_logits"
        )
    if ending is None and loss.link == "sigmoid" and model.bounded:
        raise ValueError(
            f"loss={loss.name!r}: all outputs of the first batch lie between 0 and 1, as after a sigmoid: say "
            "from_logits=False for probabilities, or from_logits=True for logits"
        )
    return dataclasses.replace(loss, linked=ending in after)


def check_metrics(loss: Loss, metrics: Iterable[Metric], outputs: int) -> None:
    """ValueError for a metric that has no meaning under this loss with so many outputs."""
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
