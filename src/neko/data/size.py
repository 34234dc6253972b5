"""How many examples a data set has, whatever of it a loader hands out in an epoch."""

from __future__ import annotations

from typing import Any

UNKNOWN, INFINITE = -2, -1
"""What TensorFlow says of the size of a data set that it cannot count, or that has no end."""


def examples(data: Any, counted: int) -> int:
    """Number of examples of the data set behind what gives batches.

    A ``torch.utils.data.DataLoader`` and a ``tf.data.Dataset`` may drop the last examples or draw some several times:
    of the former it is the length of its data set (or of the subset that its sampler is made for), of the latter the
    number before batches are made. Anything else has the examples that it gives.

    Parameters
    ----------
    data : iterable
        What gives batches.
    counted : int
        Examples that were in the batches of an epoch.

    Raises
    ------
    ValueError
        Where examples are dropped and nothing says of how many.
    """
    if hasattr(data, "dataset") and hasattr(data, "sampler"):
        return of_loader(data, counted)
    if type(data).__module__.startswith("tensorflow"):
        return of_tensorflow(data, counted)
    return counted


def of_loader(loader: Any, counted: int) -> int:
    """Of a `DataLoader`."""
    if loader.batch_sampler is None:  # what the data set gives are batches
        return counted
    try:
        return len(getattr(loader.sampler, "indices", loader.dataset))
    except (TypeError, NotImplementedError) as error:
        if not loader.drop_last:
            return counted
        raise ValueError(
            f"{type(loader).__name__} with drop_last=True over {type(loader.dataset).__name__}, which has no length: "
            "expected drop_last=False, or a data set with a length, for the number of examples is part of a posterior"
        ) from error


def of_tensorflow(data: Any, counted: int) -> int:
    """Of a `tf.data.Dataset`: the last step of its making that puts examples into batches says whether some go."""
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
