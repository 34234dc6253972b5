"""The measures of a forward pass: sums, whose means over batches of any size are exact."""

from __future__ import annotations

from typing import Any

from neko.backend.protocol import Backend
from neko.metrics import LAYER_RATE, Context, Metric
from neko.objective import Batch, Forward, Objective
from neko.typing import Array


def measure(
    xp: Backend,
    objective: Objective,
    metrics: tuple[Metric, ...],
    model: Any,
    forward: Forward,
    batch: Batch,
    params: dict[str, Array],
) -> dict[str, Any]:
    """(total, weight) of the loss, of every metric, and of the mean rate of every spiking layer, for a finished forward
    pass of a `neko.models.Trainable` with these parameters."""
    needed = any(metric.of_synapses for metric in metrics)
    given = (params, batch.x, batch.valid, batch.closing, forward.rates)
    loss, pooled = objective.loss, batch.pooling is not None
    outputs = forward.outputs
    context = Context(
        loss.prediction(xp, outputs) if metrics else outputs,  # where nothing compiles, unread work is done too
        loss.unlinked(xp, outputs) if metrics else outputs,
        batch.target[0] if pooled else batch.target,
        batch.closing if pooled else batch.valid,
        forward.rates,
        xp.sum(batch.valid),
        model.dt,
        loss.link,
        model.operations(xp, *given) if needed else None,
    )
    share = objective.share(xp, batch)
    judged = xp.sum(batch.valid if objective.by_frames(batch) else batch.closing)
    measures = {"loss": (forward.loss * share, judged)}
    measures |= {metric.name: metric.measure(xp, context) for metric in metrics}
    for i, rate in enumerate(forward.rates):
        if rate is not None:
            measures[f"{LAYER_RATE}{i}"] = (xp.mean(rate) * context.frames, context.frames)
    return measures


def add(totals: dict[str, Any], measures: dict[str, Any]) -> dict[str, Any]:
    """Sums of (total, weight) by name with those of a further forward pass."""
    found = dict(totals)
    for name, (total, weight) in measures.items():
        before = totals.get(name)
        found[name] = (total, weight) if before is None else (before[0] + total, before[1] + weight)
    return found


def finalise(metrics: tuple[Metric, ...], measures: dict[str, Any]) -> dict[str, float]:
    """The loss and every metric as floats, from sums of (total, weight)."""
    finals = {metric.name: metric.finalise for metric in metrics}
    result = {}
    for name, (total, weight) in measures.items():
        if not name.startswith(LAYER_RATE):
            value = float(total) / float(weight)
            result[name] = finals[name](value) if name in finals else value
    return result
