"""What is reached without a network: a linear readout of the inputs and of their leaky averages."""

from __future__ import annotations

import numpy as np

from neko.experiments.rule_table.tasks import Data, Part, Task

TAUS = (5.0, 20.0, 100.0)
"""Time constants of the averages in steps."""
RIDGE = 1e-3
"""Penalty on the squared weights, relative to the mean square of the features."""


def linear(task: Task, data: Data) -> dict[str, float]:
    """Test accuracy or relative error of a ridge regression, and of the most frequent class, or the mean, alone."""
    train, test = (features(part.x) for part in (data.train, data.test))
    counted, wanted = frames(data.train, task)
    x, y = train[counted], wanted[counted]
    square = x.T @ x
    w = np.linalg.solve(square + RIDGE * np.trace(square) / len(square) * np.eye(len(square)), x.T @ y)
    counted, wanted = frames(data.test, task)
    if task.classes and data.test.y.ndim == 1:  # judged at the last frame that counts, as a network is
        last = counted.shape[1] - 1 - counted[:, ::-1].argmax(axis=1)
        counted = np.arange(counted.shape[1]) == last[:, None]
    found, wanted = test[counted] @ w, wanted[counted]
    if task.classes:
        hits = found.argmax(axis=-1) == wanted.argmax(axis=-1)
        return {"accuracy": float(hits.mean()), "constant": float(wanted.mean(axis=0).max())}
    return {"error": float(np.mean((found - wanted) ** 2) / wanted.var()), "constant": 1.0}


def features(x: np.ndarray) -> np.ndarray:
    """Inputs, their averages and a one, (examples, time, features)."""
    found = [x.astype(np.float64), np.ones((*x.shape[:2], 1))]
    for tau in TAUS:
        kept, average = np.exp(-1.0 / tau), np.zeros_like(found[0])
        average[:, 0] = (1.0 - kept) * x[:, 0]
        for t in range(1, x.shape[1]):
            average[:, t] = kept * average[:, t - 1] + (1.0 - kept) * x[:, t]
        found.append(average)
    return np.concatenate(found, axis=-1)


def frames(part: Part, task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Which frames count, (examples, time), and the target of each, (examples, time, outputs)."""
    shape = part.x.shape[:2]
    counted = np.ones(shape, bool) if part.mask is None else part.mask > 0.0
    if not task.classes:
        return counted, part.y
    classes = part.y if part.y.ndim == 2 else np.repeat(part.y[:, None], shape[1], axis=1)
    return counted, np.eye(task.classes)[classes]
