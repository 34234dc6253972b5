"""The control in which there is nothing to learn: targets that tell nothing of their inputs."""

from __future__ import annotations

import numpy as np

from neko.experiments.rule_table.tasks import Data, Part, Task


def without_relation(task: Task, data: Data, seed: int) -> Data:
    """The data with other targets to train and validate, and the true ones to test.

    Every sequence's classes are rotated by a number of their own, so that each class is as probable as any other
    whatever the input; values are those of another sequence, each turned in time by a number of steps of its own, since
    sequences may have their phase in common, or, of a single sequence, of other times.
    """
    rng = np.random.default_rng(seed)

    def changed(part: Part) -> Part:
        if task.classes:
            shift = rng.integers(task.classes, size=(len(part.y), *(1,) * (part.y.ndim - 1)))
            return part._replace(y=(part.y + shift) % task.classes)
        if len(part.y) == 1:
            return part._replace(y=part.y[:, rng.permutation(part.y.shape[1])])
        n, steps = part.y.shape[:2]
        times = (np.arange(steps) + rng.integers(steps, size=(n, 1))) % steps
        return part._replace(y=part.y[rng.permutation(n)[:, None], times])

    return data._replace(train=changed(data.train), validation=changed(data.validation))
