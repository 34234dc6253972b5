"""The Array-API names that TensorFlow lacks or spells differently."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def _broadcast(a: Any, b: Any) -> tuple[Any, Any]:
    """Two operands of one dtype: a Python number is converted to that of the other."""
    if isinstance(a, int | float):
        return tf.constant(a, dtype=b.dtype), b
    if isinstance(b, int | float):
        return a, tf.constant(b, dtype=a.dtype)
    return a, b


def all(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    return tf.reduce_all(tf.cast(x, tf.bool), axis=axis, keepdims=keepdims)


def any(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    return tf.reduce_any(tf.cast(x, tf.bool), axis=axis, keepdims=keepdims)


def argsort(x: Any, *, axis: int = -1, descending: bool = False) -> Any:
    return tf.argsort(x, axis=axis, direction="DESCENDING" if descending else "ASCENDING", stable=True)


def concat(arrays: Any, *, axis: int = 0) -> Any:
    return tf.concat(list(arrays), axis=axis)


def flip(x: Any, *, axis: int) -> Any:
    return tf.reverse(x, [axis])


def maximum(a: Any, b: Any) -> Any:
    return tf.maximum(*_broadcast(a, b))


def minimum(a: Any, b: Any) -> Any:
    return tf.minimum(*_broadcast(a, b))


def pow(a: Any, b: Any) -> Any:
    return tf.pow(*_broadcast(a, b))


def squeeze(x: Any, *, axis: int) -> Any:
    return tf.squeeze(x, axis=[axis])


def stack(arrays: Any, *, axis: int = 0) -> Any:
    return tf.stack(list(arrays), axis=axis)


def sort(x: Any, *, axis: int = -1, descending: bool = False) -> Any:
    return tf.sort(x, axis=axis, direction="DESCENDING" if descending else "ASCENDING")


def unstack(x: Any, *, axis: int = 0) -> Any:
    return tuple(tf.unstack(x, axis=axis))


def where(condition: Any, a: Any, b: Any) -> Any:
    return tf.where(condition, *_broadcast(a, b))


abs = tf.abs
argmax = tf.argmax
astype = tf.cast
bitwise_and = tf.bitwise.bitwise_and
bitwise_left_shift = tf.bitwise.left_shift
bitwise_or = tf.bitwise.bitwise_or
bitwise_right_shift = tf.bitwise.right_shift
bitwise_xor = tf.bitwise.bitwise_xor
broadcast_to = tf.broadcast_to
clip = tf.clip_by_value
cos = tf.cos
cumulative_sum = tf.cumsum
exp = tf.exp
expand_dims = tf.expand_dims
floor = tf.floor
isfinite = tf.math.is_finite
log = tf.math.log
log1p = tf.math.log1p
logical_and = tf.logical_and
logical_not = tf.logical_not
logical_or = tf.logical_or
matmul = tf.matmul
matrix_transpose = tf.linalg.matrix_transpose
max = tf.reduce_max
mean = tf.reduce_mean
min = tf.reduce_min
ones_like = tf.ones_like
permute_dims = tf.transpose
reshape = tf.reshape
round = tf.round
sign = tf.sign
sin = tf.sin
sqrt = tf.sqrt
square = tf.square
std = tf.math.reduce_std
sum = tf.reduce_sum
take = tf.gather
tan = tf.tan
tanh = tf.tanh
tile = tf.tile
var = tf.math.reduce_variance
zeros_like = tf.zeros_like
