"""Chaotic series: predict the next values of one coordinate of a dynamical system."""

from __future__ import annotations

import numpy as np

from neko.arguments import check_choice
from neko.datasets.dataset import Dataset
from neko.datasets.draws import whole
from neko.datasets.entry import DATASETS, OWN

TRANSIENT = 1000
"""Samples before the first one that is used, in which a trajectory reaches its attractor."""


@DATASETS.register("chaotic", about="predict a chaotic series: Hénon, Lorenz or Mackey-Glass", licence=OWN)
def load(
    *,
    series: str = "mackey-glass",
    train: int = 128,
    test: int = 32,
    steps: int = 100,
    horizon: int = 1,
    seed: int = 0,
) -> Dataset:
    r"""One coordinate of a chaotic system, to be predicted `horizon` samples ahead from its past; a regression.

    .. math::
        \text{Hénon:}\quad & x_{t+1} = 1 - 1.4\, x_t^2 + y_t, \qquad y_{t+1} = 0.3\, x_t \\
        \text{Lorenz:}\quad & \dot x = 10 (y - x), \quad \dot y = x (28 - z) - y, \quad \dot z = x y - \tfrac83 z \\
        \text{Mackey-Glass:}\quad & \dot x = \frac{0.2\, x(t - 17)}{1 + x(t - 17)^{10}} - 0.1\, x

    Only x is shown: y of Hénon and y, z of Lorenz must be inferred from the past. A sample of Lorenz is 0.02, one of
    Mackey-Glass 1 unit of time. Both are integrated by the Runge-Kutta method of order 4; the delayed value at half a
    step is that of the cubic through values and derivatives at its ends, which keeps the order.

    Parameters
    ----------
    series
        ``'henon'``, ``'lorenz'`` or ``'mackey-glass'``.
    train, test
        Sequences, consecutive in one trajectory: those to test come after those to train. The last sequences to train
        may thus serve as validation, also split in time.
    steps
        Length of a sequence in samples; each is read from the network's initial state.
    horizon
        Samples between the input and its target.
    seed
        Of the start; the first 1,000 samples from there are left out.

    Returns
    -------
    Dataset
        ``x`` and ``y`` (examples, steps, 1), of mean 0 and variance 1 in the part to train: a mean squared error is
        relative to the variance. The last `horizon` targets of a sequence are the first inputs of the next one; none to
        train is an input to test.

    Raises
    ------
    ValueError
        For an unknown series or a size below 1.

    References
    ----------
    Hénon (1976), doi:10.1007/BF01608556; Lorenz (1963), doi:10.1175/1520-0469(1963)020<0130:DNF>2.0.CO;2; Mackey &
    Glass (1977), doi:10.1126/science.267326.
    """
    check_choice("series", series, tuple(SERIES))
    whole(1, train=train, test=test, steps=steps, horizon=horizon)
    whole(0, seed=seed)
    used = train * steps + horizon
    count = used + test * steps + horizon
    x = SERIES[series](np.random.default_rng(seed), TRANSIENT + count)[TRANSIENT:]
    x = ((x - x[:used].mean()) / x[:used].std()).astype(np.float32)

    def cut(start: int, examples: int) -> np.ndarray:
        return x[start : start + examples * steps].reshape(examples, steps, 1)

    return Dataset(
        cut(0, train), cut(horizon, train), cut(used, test), cut(used + horizon, test), 1, task_type="regression"
    )


def henon(rng: np.random.Generator, count: int) -> np.ndarray:
    """x of the Hénon map from a random start in its basin, (count,)."""
    found, (x, y) = np.empty(count), rng.uniform(-0.1, 0.1, 2).tolist()
    for t in range(count):
        found[t] = x
        x, y = 1.0 - 1.4 * x * x + y, 0.3 * x
    return found


def lorenz(rng: np.random.Generator, count: int) -> np.ndarray:
    """x of the Lorenz system from a random start, (count,)."""
    return lorenz_states(rng.uniform(-10.0, 10.0, 3), count, step=0.01, every=2)[:, 0]


def lorenz_states(start: np.ndarray, count: int, *, step: float, every: int) -> np.ndarray:
    """States of the Lorenz system, every so many steps, (count, 3)."""
    found, state = np.empty((count, 3)), tuple(map(float, start))

    def moved(slope: tuple[float, ...], by: float) -> tuple[float, ...]:
        return tuple(a + by * b for a, b in zip(state, slope, strict=True))

    for t in range(count):
        found[t] = state
        for _ in range(every):
            a = lorenz_slope(*state)
            b = lorenz_slope(*moved(a, 0.5 * step))
            c = lorenz_slope(*moved(b, 0.5 * step))
            d = lorenz_slope(*moved(c, step))
            state = moved(tuple(p + 2.0 * (q + r) + s for p, q, r, s in zip(a, b, c, d, strict=True)), step / 6.0)
    return found


def lorenz_slope(x: float, y: float, z: float) -> tuple[float, float, float]:
    return 10.0 * (y - x), x * (28.0 - z) - y, x * y - 8.0 / 3.0 * z


def mackey_glass(rng: np.random.Generator, count: int) -> np.ndarray:
    """The Mackey-Glass series from a random constant history, (count,)."""
    return mackey_glass_values(rng.uniform(1.1, 1.3), count, per_unit=4)


def mackey_glass_values(start: float, count: int, *, per_unit: int) -> np.ndarray:
    """Values at times 0, 1, …, (count,), with so many steps per unit of time, after the constant history `start`."""
    h, lag = 1.0 / per_unit, 17 * per_unit

    def production(x: float) -> float:
        return 0.2 * x / (1.0 + x**10)

    # What a delayed value will produce, at the ends and in the middle of every step since time -17.
    ends, middles = [production(start)] * (lag + 1), [production(start)] * lag
    x, found = start, [start]
    for k in range((count - 1) * per_unit):
        early, middle, late = ends[k], middles[k], ends[k + 1]
        a = early - 0.1 * x
        b = middle - 0.1 * (x + 0.5 * h * a)
        c = middle - 0.1 * (x + 0.5 * h * b)
        d = late - 0.1 * (x + h * c)
        new = x + h / 6.0 * (a + 2.0 * (b + c) + d)
        middles.append(production(0.5 * (x + new) + h / 8.0 * (a - (late - 0.1 * new))))
        ends.append(production(new))
        x = new
        found.append(x)
    return np.array(found[::per_unit])


SERIES = {"henon": henon, "lorenz": lorenz, "mackey-glass": mackey_glass}
