"""The Array-API names that TensorFlow lacks or spells differently."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def _broadcast(a: Any, b: Any) -> tuple[Any, Any]:
    """Two operands of one dtype: a Python number takes the other's."""
    if isinstance(a, int | float):
        return tf.constant(a, dtype=b.dtype), b
    if isinstance(b, int | float):
        return a, tf.constant(b, dtype=a.dtype)
    return a, b


def all(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    return tf.reduce_all(tf.cast(x, tf.bool), axis=axis, keepdims=keepdims)


def any(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    return tf.reduce_any(tf.cast(x, tf.bool), axis=axis, keepdims=keepdims)


def argmax(x: Any, *, axis: int) -> Any:
    return tf.argmax(x, axis=axis)


def argsort(x: Any, *, axis: int = -1, descending: bool = False) -> Any:
    return tf.argsort(x, axis=axis, direction="DESCENDING" if descending else "ASCENDING", stable=True)


def astype(x: Any, dtype: Any) -> Any:
    return tf.cast(x, dtype)


def clip(x: Any, low: Any, high: Any) -> Any:
    return tf.clip_by_value(x, low, high)


def concat(arrays: Any, *, axis: int = 0) -> Any:
    return tf.concat(list(arrays), axis=axis)


def cumulative_sum(x: Any, *, axis: int) -> Any:
    return tf.cumsum(x, axis=axis)


def expand_dims(x: Any, *, axis: int) -> Any:
    return tf.expand_dims(x, axis)


def flip(x: Any, *, axis: int) -> Any:
    return tf.reverse(x, [axis])


def isfinite(x: Any) -> Any:
    return tf.math.is_finite(x)


def max(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    return tf.reduce_max(x, axis=axis, keepdims=keepdims)


def maximum(a: Any, b: Any) -> Any:
    return tf.maximum(*_broadcast(a, b))


def mean(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    return tf.reduce_mean(x, axis=axis, keepdims=keepdims)


def min(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    return tf.reduce_min(x, axis=axis, keepdims=keepdims)


def minimum(a: Any, b: Any) -> Any:
    return tf.minimum(*_broadcast(a, b))


def permute_dims(x: Any, axes: tuple[int, ...]) -> Any:
    return tf.transpose(x, axes)


def pow(a: Any, b: Any) -> Any:
    return tf.pow(*_broadcast(a, b))


def squeeze(x: Any, *, axis: int) -> Any:
    return tf.squeeze(x, axis=[axis])


def stack(arrays: Any, *, axis: int = 0) -> Any:
    return tf.stack(list(arrays), axis=axis)


def std(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    return tf.math.reduce_std(x, axis=axis, keepdims=keepdims)


def sum(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    return tf.reduce_sum(x, axis=axis, keepdims=keepdims)


def sort(x: Any, *, axis: int = -1, descending: bool = False) -> Any:
    return tf.sort(x, axis=axis, direction="DESCENDING" if descending else "ASCENDING")


def take(x: Any, indices: Any, *, axis: int) -> Any:
    return tf.gather(x, indices, axis=axis)


def unstack(x: Any, *, axis: int = 0) -> Any:
    return tuple(tf.unstack(x, axis=axis))


def var(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    return tf.math.reduce_variance(x, axis=axis, keepdims=keepdims)


def where(condition: Any, a: Any, b: Any) -> Any:
    return tf.where(condition, *_broadcast(a, b))


abs = tf.abs
bitwise_and = tf.bitwise.bitwise_and
bitwise_left_shift = tf.bitwise.left_shift
bitwise_or = tf.bitwise.bitwise_or
bitwise_right_shift = tf.bitwise.right_shift
bitwise_xor = tf.bitwise.bitwise_xor
broadcast_to = tf.broadcast_to
cos = tf.cos
exp = tf.exp
floor = tf.floor
log = tf.math.log
log1p = tf.math.log1p
logical_and = tf.logical_and
logical_not = tf.logical_not
logical_or = tf.logical_or
matmul = tf.matmul
matrix_transpose = tf.linalg.matrix_transpose
ones_like = tf.ones_like
reshape = tf.reshape
round = tf.round
sign = tf.sign
sin = tf.sin
sqrt = tf.sqrt
square = tf.square
tan = tf.tan
tanh = tf.tanh
tile = tf.tile
zeros_like = tf.zeros_like
