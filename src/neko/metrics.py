"""Metrics: sums over a batch that average exactly over batches of any size."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from neko.losses import categorical_crossentropy, mean_absolute_error, mean_squared_error
from neko.typing import Array


class Context(NamedTuple):
    """What a metric may look at.

    ``prediction`` (…, C) and ``target`` (…, C) or (…) with ``weight`` (…), 0 where padded; ``rates`` per
    layer the spikes per step of each neuron (n,), None for a layer that does not spike, over ``frames`` valid
    frames of `dt` ms.
    """

    prediction: Array
    target: Array
    weight: Array
    rates: tuple[Array | None, ...]
    frames: Array
    dt: float


def identity(value: float) -> float:
    """The mean as it is."""
    return value


@dataclass(frozen=True)
class Metric:
    """A named metric.

    Parameters
    ----------
    name : str
        Its name in histories.
    measure : callable
        ``(xp, context) -> (total, weight)``; batches add up both, and their ratio is the mean.
    finalise : callable
        Applied to the mean as a float.
    """

    name: str
    measure: Callable[[Any, Context], tuple[Array, Array]]
    finalise: Callable[[float], float] = identity


def weighted(xp: Any, values: Array, weight: Array) -> tuple[Array, Array]:
    """(Σ w v, Σ w)."""
    return xp.sum(values * weight), xp.sum(weight)


def dense(xp: Any, context: Context) -> Array:
    """The target with a class axis."""
    if len(context.target.shape) == len(context.prediction.shape):
        return context.target
    return xp.one_hot(context.target, context.prediction.shape[-1])


def accuracy(xp: Any, context: Context) -> tuple[Array, Array]:
    """Share of examples (or frames) whose largest output is the target's class."""
    target = xp.argmax(dense(xp, context), axis=-1)
    hits = xp.astype(xp.argmax(context.prediction, axis=-1) == target, xp.dtype)
    return weighted(xp, hits, context.weight)


def top_k(k: int) -> Metric:
    """Share of examples whose target's class is among the `k` largest outputs."""
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise ValueError(f"k={k!r}: expected a positive integer")

    def measure(xp: Any, context: Context) -> tuple[Array, Array]:
        n = context.prediction.shape[-1]
        chosen = xp.one_hot(xp.argmax(dense(xp, context), axis=-1), n)
        of_target = xp.sum(context.prediction * chosen, axis=-1, keepdims=True)
        above = xp.sum(xp.astype(context.prediction > of_target, xp.dtype), axis=-1)
        return weighted(xp, xp.astype(above < k, xp.dtype), context.weight)

    return Metric(f"top_{k}_accuracy", measure)


def perplexity(xp: Any, context: Context) -> tuple[Array, Array]:
    """Cross-entropy in nats; its exponential is the perplexity."""
    return weighted(xp, categorical_crossentropy(xp, context.prediction, dense(xp, context)), context.weight)


def squared(xp: Any, context: Context) -> tuple[Array, Array]:
    """Mean squared error."""
    return weighted(xp, mean_squared_error(xp, context.prediction, context.target), context.weight)


def absolute(xp: Any, context: Context) -> tuple[Array, Array]:
    """Mean absolute error."""
    return weighted(xp, mean_absolute_error(xp, context.prediction, context.target), context.weight)


def firing_rate(xp: Any, context: Context) -> tuple[Array, Array]:
    """Mean rate of all spiking neurons in Hz."""
    spiking = [rate for rate in context.rates if rate is not None]
    if not spiking:
        raise ValueError("metric 'firing_rate': this model has no spiking layer; leave the metric out")
    hertz = xp.mean(xp.concat(spiking, axis=0)) * (1000.0 / context.dt)
    return hertz * context.frames, context.frames


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", accuracy),
        Metric("perplexity", perplexity, math.exp),
        Metric("mean_squared_error", squared),
        Metric("mean_absolute_error", absolute),
        Metric("firing_rate", firing_rate),
        top_k(5),
    )
}


def resolve(metric: Any) -> Metric:
    """The metric of a name; a `Metric` as it is; a function ``(xp, context) -> (total, weight)`` by its own name."""
    if isinstance(metric, Metric):
        return metric
    if callable(metric):
        return Metric(getattr(metric, "__name__", "metric"), metric)
    if metric not in METRICS:
        raise ValueError(f"metric {metric!r}: expected one of {sorted(METRICS)}, top_k(k), or a function")
    return METRICS[metric]
