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


SAME = "abs argmax broadcast_to cos exp expand_dims floor logical_and logical_not logical_or matmul "
SAME += "ones_like reshape round sign sin sqrt square tan tanh tile zeros_like"
"""Functions that TensorFlow has under the standard's name and with its meaning."""
for _name in SAME.split():
    globals()[_name] = getattr(tf, _name)
astype = tf.cast
bitwise_and = tf.bitwise.bitwise_and
bitwise_left_shift = tf.bitwise.left_shift
bitwise_or = tf.bitwise.bitwise_or
bitwise_right_shift = tf.bitwise.right_shift
bitwise_xor = tf.bitwise.bitwise_xor
clip = tf.clip_by_value
cumulative_sum = tf.cumsum
isfinite = tf.math.is_finite
log = tf.math.log
log1p = tf.math.log1p
matrix_transpose = tf.linalg.matrix_transpose
max = tf.reduce_max
mean = tf.reduce_mean
min = tf.reduce_min
permute_dims = tf.transpose
std = tf.math.reduce_std
sum = tf.reduce_sum
take = tf.gather
var = tf.math.reduce_variance
