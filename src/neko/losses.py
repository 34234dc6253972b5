"""Loss functions: a value per example from outputs and target (class axis last), and the meaning of outputs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from neko.arguments import check_choice
from neko.backend import recording
from neko.backend.protocol import Backend
from neko.registry import Registry
from neko.typing import Array

LINKS = ("identity", "softmax", "sigmoid", "log")
SMALLEST = 1e-7
"""Lower bound of probabilities and rates in a logarithm, as in Keras."""


@dataclass(frozen=True)
class Loss:
    """A loss, the form of its target, and the meaning of outputs.

    Parameters
    ----------
    name : str
        For messages and histories.
    function : callable
        ``(xp, outputs (…, C), target) -> (…)``; leading axes broadcast. For a loss with a link other than the identity
        the outputs are values before the link: logits, or logs of rates.
    sparse : bool
        Whether the target holds class numbers (…) instead of (…, C).
    distribution : bool
        Whether the target's C entries are probabilities: not negative, with sum 1.
    link : {'identity', 'softmax', 'sigmoid', 'log'}
        From outputs to the prediction of `Evaluator.predict`: outputs as they are; class probabilities
        ``softmax(y)``; probabilities of independent events ``1 / (1 + e^{-y})``; rates ``e^y``.
    linked : bool
        Whether outputs have already passed the link, because the model ends in it. `function` then gets its inverse.

    Examples
    --------
    >>> def hinge(xp, outputs, target):
    ...     margin = 1.0 - outputs * target
    ...     return xp.sum(xp.maximum(margin, 0.0), axis=-1)
    >>> resolve(hinge).name
    'hinge'
    """

    name: str
    function: Callable[[Any, Array, Array], Array]
    sparse: bool = False
    distribution: bool = False
    link: str = "identity"
    linked: bool = False

    def __post_init__(self) -> None:
        check_choice("link", self.link, LINKS)

    def __call__(self, xp: Backend, outputs: Array, target: Array) -> Array:
        found = recording.call(self.name, self.function, xp, self.unlinked(xp, outputs), target)
        if len(found.shape) != len(outputs.shape) - 1:
            raise ValueError(
                f"the loss {self.name!r} gave an array of shape {tuple(found.shape)!r} for outputs of shape "
                f"{tuple(outputs.shape)!r}: expected one value per step and example, a sum or mean over the last axis "
                "only, since masks and weights are applied to these values"
            )
        return found

    def prediction(self, xp: Backend, outputs: Array) -> Array:
        """The prediction: the link applied to outputs."""
        if self.linked or self.link == "identity":
            return outputs
        if self.link == "softmax":
            return xp.exp(xp.log_softmax(outputs))
        return xp.sigmoid(outputs) if self.link == "sigmoid" else xp.exp(outputs)

    def unlinked(self, xp: Backend, outputs: Array) -> Array:
        """Logits (or logs of rates): the outputs, or the inverse of the link that they have passed."""
        if not self.linked:
            return outputs
        logs = xp.log(xp.maximum(outputs, SMALLEST))
        return logs - xp.log(xp.maximum(1.0 - outputs, SMALLEST)) if self.link == "sigmoid" else logs


LOSSES: Registry[Loss] = Registry("loss", "neko.losses", made=Loss, other="a function (xp, outputs, target)")
resolve = LOSSES.resolve


@LOSSES.register("categorical_crossentropy", distribution=True, link="softmax")
def categorical_crossentropy(xp: Backend, outputs: Array, target: Array) -> Array:
    """``-Σ_k t_k log softmax(y)_k`` for logits y and a distribution t (one-hot or soft)."""
    return -xp.sum(xp.astype(target, xp.dtype) * xp.log_softmax(outputs), axis=-1)


@LOSSES.register("sparse_categorical_crossentropy", sparse=True, link="softmax")
def sparse_categorical_crossentropy(xp: Backend, outputs: Array, target: Array) -> Array:
    """``-log softmax(y)_t`` for logits y and a class number t."""
    return categorical_crossentropy(xp, outputs, xp.one_hot(target, outputs.shape[-1]))


@LOSSES.register("binary_crossentropy", aliases=("bce",), link="sigmoid")
def binary_crossentropy(xp: Backend, outputs: Array, target: Array) -> Array:
    """``mean_k (log(1 + e^{y_k}) - t_k y_k)`` for logits y of independent events and t in [0, 1]."""
    return xp.mean(xp.softplus(outputs) - xp.astype(target, xp.dtype) * outputs, axis=-1)


@LOSSES.register("mean_squared_error", aliases=("mse",))
def mean_squared_error(xp: Backend, outputs: Array, target: Array) -> Array:
    """``mean_k (y_k - t_k)²``."""
    return xp.mean(xp.square(outputs - xp.astype(target, xp.dtype)), axis=-1)


@LOSSES.register("half_squared_error")
def half_squared_error(xp: Backend, outputs: Array, target: Array) -> Array:
    """``½ Σ_k (y_k - t_k)²``, whose error is ``y - t``: the regression loss of Bellec et al. (2020)."""
    return 0.5 * xp.sum(xp.square(outputs - xp.astype(target, xp.dtype)), axis=-1)


@LOSSES.register("mean_absolute_error", aliases=("mae",))
def mean_absolute_error(xp: Backend, outputs: Array, target: Array) -> Array:
    """``mean_k |y_k - t_k|``."""
    return xp.mean(xp.abs(outputs - xp.astype(target, xp.dtype)), axis=-1)


@LOSSES.register("poisson", link="log")
def poisson(xp: Backend, outputs: Array, target: Array) -> Array:
    """``mean_k (e^{y_k} - t_k y_k)``: negative log likelihood of counts t with log rate y, without its constant."""
    return xp.mean(xp.exp(outputs) - xp.astype(target, xp.dtype) * outputs, axis=-1)


@LOSSES.register("kl_divergence", aliases=("kl",), distribution=True, link="softmax")
def kl_divergence(xp: Backend, outputs: Array, target: Array) -> Array:
    """``Σ_k t_k (log t_k - log softmax(y)_k)`` for logits y and a distribution t; ``0 log 0 = 0``."""
    target = xp.astype(target, xp.dtype)
    log_target = xp.log(xp.where(target > 0.0, target, xp.ones_like(target)))
    return xp.sum(target * (log_target - xp.log_softmax(outputs)), axis=-1)


def class_weighted(loss: Loss, weights: Sequence[float]) -> Loss:
    """``w_c · loss`` with the weight of the target's class, ``Σ_k t_k w_k`` for a dense target; ValueError for a loss
    without classes, or weights that are not finite numbers of at least 0, TypeError for other values."""
    try:
        if isinstance(weights, str | bytes | Mapping):
            raise TypeError
        values = [float(w) for w in weights]
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"class_weights={weights!r}: expected one number a class in the order of classes, for example [1.0, 2.5]"
        ) from error
    if not (loss.sparse or loss.distribution):
        raise ValueError(f"class_weights={weights!r}: the loss {loss.name!r} has no classes")
    if not values or not all(math.isfinite(w) and w >= 0.0 for w in values):
        raise ValueError(f"class_weights={weights!r}: expected a finite number of at least 0 for each class")

    def function(xp: Backend, outputs: Array, target: Array) -> Array:
        if len(values) != outputs.shape[-1]:
            raise ValueError(f"class_weights has {len(values)} entries: expected {outputs.shape[-1]}, one a class")
        dense = xp.one_hot(target, outputs.shape[-1]) if loss.sparse else xp.astype(target, xp.dtype)
        return xp.sum(dense * xp.asarray(values), axis=-1) * loss.function(xp, outputs, target)

    return dataclasses.replace(loss, function=function)
