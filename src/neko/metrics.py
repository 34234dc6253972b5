"""Metrics: sums over a batch, whose means over batches of any size are exact."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from neko.arguments import check_integer
from neko.backend.protocol import Backend
from neko.losses import categorical_crossentropy, mean_absolute_error, mean_squared_error
from neko.registry import Registry
from neko.typing import Array

LAYER_RATE = "rate of layer "
"""Prefix of the measures with the mean rate of every spiking layer, which are not in the history."""


class Context(NamedTuple):
    """The inputs of a metric.

    ``prediction`` (…, C) is that of `Evaluator.predict`: class probabilities under a cross-entropy, rates under
    'poisson', the outputs under a squared error; ``outputs`` (…, C) is the input of the loss: logits, log rates, or the
    same as the prediction. ``target`` (…, C) or, class numbers, (…), with ``weight`` (…), 0 where padded.
    ``rates`` per layer the spikes per step of each neuron (n,), None for a layer that does not spike, over ``frames``
    valid frames of `dt` ms. ``link`` is that of the loss (see `neko.losses.Loss`). ``operations`` are those of
    `neko.models.operations` for metrics `of_synapses`, else None.
    """

    prediction: Array
    outputs: Array
    target: Array
    weight: Array
    rates: tuple[Array | None, ...]
    frames: Array
    dt: float
    link: str
    operations: Any = None


def exponential(value: float) -> float:
    """e^value; infinite where a float overflows."""
    return math.exp(value) if value < 709.0 else math.inf


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
    of_classes : bool
        Whether targets must be classes: class numbers, one-hot rows, or events of 0 and 1.
    of_events : bool
        Whether it is also defined for the independent events of a binary cross-entropy.
    of_probabilities : bool
        Whether it needs the probabilities of a cross-entropy.
    of_synapses : bool
        Whether it needs the synaptic operations of a network of cells.
    """

    name: str
    measure: Callable[[Any, Context], tuple[Array, Array]]
    finalise: Callable[[float], float] = float
    of_classes: bool = False
    of_events: bool = False
    of_probabilities: bool = False
    of_synapses: bool = False

    def needs_classes(self, link: str) -> bool:
        """Whether, under a loss of this link, targets must name one of several classes."""
        return self.of_classes and not (self.of_events and link == "sigmoid")


METRICS: Registry[Metric] = Registry(
    "metric", "neko.metrics", made=Metric, other="top_k(k) or a function (xp, context) -> (total, weight)"
)
resolve = METRICS.resolve


def weighted(xp: Backend, values: Array, weight: Array) -> tuple[Array, Array]:
    """(Σ w v, Σ w)."""
    return xp.sum(values * weight), xp.sum(weight)


def dense(xp: Backend, context: Context) -> Array:
    """The target with a class axis."""
    if len(context.target.shape) == len(context.prediction.shape):
        return context.target
    return xp.one_hot(context.target, context.prediction.shape[-1])


@METRICS.register("accuracy", of_classes=True, of_events=True)
def accuracy(xp: Backend, context: Context) -> tuple[Array, Array]:
    """Share of examples (or frames) whose largest output is the target's class; under a binary cross-entropy, of all
    their events the share whose probability is above ½ where the target is."""
    if context.link == "sigmoid":
        same = (context.outputs > 0.0) == (context.target > 0.5)
        return weighted(xp, xp.mean(xp.astype(same, xp.dtype), axis=-1), context.weight)
    target = xp.argmax(dense(xp, context), axis=-1)
    hits = xp.astype(xp.argmax(context.outputs, axis=-1) == target, xp.dtype)
    return weighted(xp, hits, context.weight)


def top_k(k: int) -> Metric:
    """Share of examples whose target's class is among the `k` largest outputs.

    Among equal outputs the lower class number comes first, as in argmax: ``top_k(1)`` is the accuracy, and a
    silent network scores k / C. An output that is not a number is never among the largest.
    """
    k = check_integer("k", k)

    def measure(xp: Backend, context: Context) -> tuple[Array, Array]:
        y = context.outputs
        n = y.shape[-1]
        chosen = xp.one_hot(xp.argmax(dense(xp, context), axis=-1), n)
        of_target = xp.sum(xp.where(chosen > 0.0, y, xp.zeros_like(y)), axis=-1, keepdims=True)
        tie_goes_behind = xp.logical_and(y == of_target, xp.cumulative_sum(chosen, axis=-1) > 0.0)
        # Outputs behind the target are counted, since every comparison with NaN is false.
        behind = xp.logical_or(y < of_target, tie_goes_behind)
        ahead = n - xp.sum(xp.astype(behind, xp.dtype), axis=-1)
        return weighted(xp, xp.astype(ahead < k, xp.dtype), context.weight)

    return Metric(f"top_{k}_accuracy", measure, of_classes=True)


@METRICS.register("perplexity", finalise=exponential, of_classes=True, of_probabilities=True)
def perplexity(xp: Backend, context: Context) -> tuple[Array, Array]:
    """Cross-entropy in nats; its exponential is the perplexity."""
    return weighted(xp, categorical_crossentropy(xp, context.outputs, dense(xp, context)), context.weight)


@METRICS.register("mean_squared_error")
def squared(xp: Backend, context: Context) -> tuple[Array, Array]:
    """Mean squared error of the prediction over examples (or frames) and outputs; of class probabilities, the Brier
    score divided by the number of classes."""
    return weighted(xp, mean_squared_error(xp, context.prediction, dense(xp, context)), context.weight)


@METRICS.register("mean_absolute_error")
def absolute(xp: Backend, context: Context) -> tuple[Array, Array]:
    """Mean absolute error of the prediction over examples (or frames) and outputs."""
    return weighted(xp, mean_absolute_error(xp, context.prediction, dense(xp, context)), context.weight)


@METRICS.register("firing_rate")
def firing_rate(xp: Backend, context: Context) -> tuple[Array, Array]:
    """Mean rate of all spiking neurons over the valid frames, in Hz (`dt` is in ms)."""
    spiking = [rate for rate in context.rates if rate is not None]
    if not spiking:
        raise ValueError("metric 'firing_rate': this model has no spiking layer; leave the metric out")
    hertz = xp.mean(xp.concat(spiking, axis=0)) * (1000.0 / context.dt)
    return hertz * context.frames, context.frames


@METRICS.register("synaptic_operations", of_synapses=True)
def synaptic_operations(xp: Backend, context: Context) -> tuple[Array, Array]:
    """Synaptic operations of an example that are not with a zero: accumulations and multiplications, as by
    NeuroBench (Yik et al. 2025, doi:10.1038/s41467-025-56739-4).

    A spike is counted in every synapse that it is sent to, also at the last step.
    """
    return context.operations.acs + context.operations.macs, context.operations.sequences


@METRICS.register("effective_acs", of_synapses=True)
def effective_acs(xp: Backend, context: Context) -> tuple[Array, Array]:
    """Of the synaptic operations of an example those with spikes, which add a weight."""
    return context.operations.acs, context.operations.sequences


@METRICS.register("effective_macs", of_synapses=True)
def effective_macs(xp: Backend, context: Context) -> tuple[Array, Array]:
    """Of the synaptic operations of an example those with real values, which multiply by a weight."""
    return context.operations.macs, context.operations.sequences


@METRICS.register("dense_operations", of_synapses=True)
def dense_operations(xp: Backend, context: Context) -> tuple[Array, Array]:
    """Synaptic operations of an example if every synapse was computed at every step."""
    return context.operations.dense, context.operations.sequences


METRICS.register("top_5_accuracy", of_classes=True)(top_k(5).measure)
