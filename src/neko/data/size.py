"""The number of examples of a data set, even where a loader drops some in an epoch."""

from __future__ import annotations

from typing import Any

UNKNOWN, INFINITE = -2, -1
"""TensorFlow's cardinality of a data set of unknown or infinite size."""


def examples(data: Any, counted: int) -> int:
    """Number of examples of the data set of an iterable of batches, `counted` in the batches of an epoch.

    A ``torch.utils.data.DataLoader`` and a ``tf.data.Dataset`` may drop the last examples or draw some several times:
    of the former it is the length of its data set (or of its sampler's subset), of the latter the number before
    batching. Any other iterable has as many as were counted. ValueError where examples are dropped and the number of
    all is not known.
    """
    if hasattr(data, "dataset") and hasattr(data, "sampler"):
        return count_loader(data, counted)
    if type(data).__module__.startswith("tensorflow"):
        return count_tensorflow(data, counted)
    return counted


def count_loader(loader: Any, counted: int) -> int:
    """`examples` of a `DataLoader`."""
    if loader.batch_sampler is None:  # the data set gives batches
        return counted
    try:
        return len(getattr(loader.sampler, "indices", loader.dataset))
    except (TypeError, NotImplementedError) as error:
        if not loader.drop_last:
            return counted
        raise ValueError(
            f"{type(loader).__name__} with drop_last=True over {type(loader.dataset).__name__}, which has no length: "
            "expected drop_last=False, or a data set with a length, since a posterior needs the number of examples"
        ) from error


def count_tensorflow(data: Any, counted: int) -> int:
    """`examples` of a `tf.data.Dataset`, whose last batching step determines whether examples are dropped."""
    while not hasattr(data, "_drop_remainder"):
        if not hasattr(data, "_input_dataset"):
            return counted
        data = data._input_dataset
    if not bool(data._drop_remainder):
        return counted
    single = data._input_dataset
    size = int(single.cardinality())
    if size == INFINITE:
        raise ValueError("a tf.data.Dataset without end: expected one with a number of examples")
    return sum(1 for _ in single) if size == UNKNOWN else size
