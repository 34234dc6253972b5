"""Loss functions: a value per example from prediction and target, both with the class axis last."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from neko import recording
from neko.typing import Array


@dataclass(frozen=True)
class Loss:
    """A loss and the form of its target.

    Parameters
    ----------
    name : str
        For messages and histories.
    function : callable
        ``(xp, prediction (…, C), target) -> (…)``; leading axes broadcast.
    sparse : bool
        Whether the target holds class numbers (…) instead of (…, C).
    distribution : bool
        Whether the target's C entries are probabilities: not negative, with sum 1.
    link : {'identity', 'softmax', 'sigmoid', 'log'}
        What the outputs are: values as they are, logits of classes, logits of independent events, or logs of rates. The
        prediction, as `Evaluator.predict` gives it, is what this makes of them.

    Examples
    --------
    >>> def hinge(xp, prediction, target):
    ...     margin = 1.0 - prediction * target
    ...     return xp.sum(xp.maximum(margin, 0.0), axis=-1)
    >>> resolve(hinge).name
    'hinge'
    """

    name: str
    function: Callable[[Any, Array, Array], Array]
    sparse: bool = False
    distribution: bool = False
    link: str = "identity"

    def __call__(self, xp: Any, prediction: Array, target: Array) -> Array:
        return recording.call(self.name, self.function, xp, prediction, target)


def categorical_crossentropy(xp: Any, prediction: Array, target: Array) -> Array:
    """``-Σ_k t_k log softmax(y)_k`` for logits y and a distribution t (one-hot or soft)."""
    return -xp.sum(xp.astype(target, xp.dtype) * xp.log_softmax(prediction), axis=-1)


def sparse_categorical_crossentropy(xp: Any, prediction: Array, target: Array) -> Array:
    """``-log softmax(y)_t`` for logits y and a class number t."""
    return categorical_crossentropy(xp, prediction, xp.one_hot(target, prediction.shape[-1]))


def mean_squared_error(xp: Any, prediction: Array, target: Array) -> Array:
    """``mean_k (y_k - t_k)²``."""
    return xp.mean(xp.square(prediction - xp.astype(target, xp.dtype)), axis=-1)


def half_squared_error(xp: Any, prediction: Array, target: Array) -> Array:
    """``½ Σ_k (y_k - t_k)²``, whose error is ``y - t``: the regression loss of Bellec et al. (2020)."""
    return 0.5 * xp.sum(xp.square(prediction - xp.astype(target, xp.dtype)), axis=-1)


def mean_absolute_error(xp: Any, prediction: Array, target: Array) -> Array:
    """``mean_k |y_k - t_k|``."""
    return xp.mean(xp.abs(prediction - xp.astype(target, xp.dtype)), axis=-1)


def poisson(xp: Any, prediction: Array, target: Array) -> Array:
    """``mean_k (e^{y_k} - t_k y_k)``: negative log likelihood of counts t with log rate y, without its constant."""
    return xp.mean(xp.exp(prediction) - xp.astype(target, xp.dtype) * prediction, axis=-1)


def kl_divergence(xp: Any, prediction: Array, target: Array) -> Array:
    """``Σ_k t_k (log t_k - log softmax(y)_k)`` for logits y and a distribution t; ``0 log 0 = 0``."""
    target = xp.astype(target, xp.dtype)
    log_target = xp.log(xp.where(target > 0.0, target, xp.ones_like(target)))
    return xp.sum(target * (log_target - xp.log_softmax(prediction)), axis=-1)


LOSSES: dict[str, Loss] = {
    loss.name: loss
    for loss in (
        Loss("categorical_crossentropy", categorical_crossentropy, distribution=True, link="softmax"),
        Loss("sparse_categorical_crossentropy", sparse_categorical_crossentropy, sparse=True, link="softmax"),
        Loss("mean_squared_error", mean_squared_error),
        Loss("half_squared_error", half_squared_error),
        Loss("mean_absolute_error", mean_absolute_error),
        Loss("poisson", poisson, link="log"),
        Loss("kl_divergence", kl_divergence, distribution=True, link="softmax"),
    )
}
ALIASES = {"mse": "mean_squared_error", "mae": "mean_absolute_error", "kl": "kl_divergence"}


def class_weighted(loss: Loss, weights: Sequence[float]) -> Loss:
    """``w_c · loss`` with the weight of the target's class, ``Σ_k t_k w_k`` of a dense target.

    Raises
    ------
    ValueError
        For a loss that has no classes, or weights that are not finite numbers of at least 0.
    TypeError
        For what is no sequence of numbers.
    """
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

    def function(xp: Any, prediction: Array, target: Array) -> Array:
        if len(values) != prediction.shape[-1]:
            raise ValueError(f"class_weights has {len(values)} entries: expected {prediction.shape[-1]}, one a class")
        dense = xp.one_hot(target, prediction.shape[-1]) if loss.sparse else xp.astype(target, xp.dtype)
        return xp.sum(dense * xp.asarray(values), axis=-1) * loss(xp, prediction, target)

    return dataclasses.replace(loss, function=function)


def resolve(loss: Any) -> Loss:
    """The loss of a name; a `Loss` as it is; a function ``(xp, prediction, target)`` as a loss with dense target.

    Raises
    ------
    ValueError
        For an unknown name; the message lists the right ones.
    TypeError
        For what is neither a name nor callable.
    """
    if isinstance(loss, Loss):
        return loss
    if callable(loss):
        return Loss(getattr(loss, "__name__", type(loss).__name__), loss)
    expected = f"expected one of {sorted([*LOSSES, *ALIASES])} or a function (xp, prediction, target)"
    if not isinstance(loss, str):
        raise TypeError(f"loss={loss!r}: {expected}")
    name = ALIASES.get(loss, loss)
    if name not in LOSSES:
        raise ValueError(f"loss={loss!r}: {expected}")
    return LOSSES[name]
