"""Metrics: sums over a batch that average exactly over batches of any size."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from neko.arguments import check_integer
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


def exponential(value: float) -> float:
    """e^value; infinite where that is beyond a float."""
    return math.exp(value) if value < 709.0 else math.inf


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
    """Share of examples whose target's class is among the `k` largest outputs.

    Among equal outputs the lower class number comes first, as in argmax: ``top_k(1)`` is the accuracy, and a
    silent network scores k / C. An output that is not a number is never among the largest.
    """
    check_integer("k", k)

    def measure(xp: Any, context: Context) -> tuple[Array, Array]:
        y = context.prediction
        n = y.shape[-1]
        chosen = xp.one_hot(xp.argmax(dense(xp, context), axis=-1), n)
        of_target = xp.sum(xp.where(chosen > 0.0, y, xp.zeros_like(y)), axis=-1, keepdims=True)
        tie_goes_behind = xp.logical_and(y == of_target, xp.cumulative_sum(chosen, axis=-1) > 0.0)
        # Counted by what is behind the target, since every comparison with a NaN is false.
        behind = xp.logical_or(y < of_target, tie_goes_behind)
        ahead = n - xp.sum(xp.astype(behind, xp.dtype), axis=-1)
        return weighted(xp, xp.astype(ahead < k, xp.dtype), context.weight)

    return Metric(f"top_{k}_accuracy", measure)


def perplexity(xp: Any, context: Context) -> tuple[Array, Array]:
    """Cross-entropy in nats; its exponential is the perplexity."""
    return weighted(xp, categorical_crossentropy(xp, context.prediction, dense(xp, context)), context.weight)


def squared(xp: Any, context: Context) -> tuple[Array, Array]:
    """Mean squared error over examples (or frames) and outputs."""
    return weighted(xp, mean_squared_error(xp, context.prediction, context.target), context.weight)


def absolute(xp: Any, context: Context) -> tuple[Array, Array]:
    """Mean absolute error over examples (or frames) and outputs."""
    return weighted(xp, mean_absolute_error(xp, context.prediction, context.target), context.weight)


def firing_rate(xp: Any, context: Context) -> tuple[Array, Array]:
    """Mean rate of all spiking neurons over the valid frames, in Hz (`dt` is in ms)."""
    spiking = [rate for rate in context.rates if rate is not None]
    if not spiking:
        raise ValueError("metric 'firing_rate': this model has no spiking layer; leave the metric out")
    hertz = xp.mean(xp.concat(spiking, axis=0)) * (1000.0 / context.dt)
    return hertz * context.frames, context.frames


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", accuracy),
        Metric("perplexity", perplexity, exponential),
        Metric("mean_squared_error", squared),
        Metric("mean_absolute_error", absolute),
        Metric("firing_rate", firing_rate),
        top_k(5),
    )
}


def resolve(metric: Any) -> Metric:
    """The metric of a name; a `Metric` as it is; a function ``(xp, context) -> (total, weight)`` by its own name.

    Raises
    ------
    ValueError
        For an unknown name; the message lists the right ones.
    TypeError
        For what is neither a name nor callable.

    Examples
    --------
    >>> def confidence(xp, context):
    ...     share = xp.max(xp.exp(xp.log_softmax(context.prediction)), axis=-1)
    ...     return weighted(xp, share, context.weight)
    >>> resolve(confidence).name
    'confidence'
    """
    if isinstance(metric, Metric):
        return metric
    if callable(metric):
        return Metric(getattr(metric, "__name__", type(metric).__name__), metric)
    expected = f"expected one of {sorted(METRICS)}, top_k(k), or a function (xp, context) -> (total, weight)"
    if not isinstance(metric, str):
        raise TypeError(f"metric {metric!r}: {expected}")
    if metric not in METRICS:
        raise ValueError(f"metric {metric!r}: {expected}")
    return METRICS[metric]
