"""From continuous time to steps: NIR's time constants in seconds, Neko's in milliseconds, and the length of a step.

A NIR neuron obeys ``τ dv/dt = (v_leak - v) + R I``. With the current held for a step of length dt this is
``v_t = α v_{t-1} + (1 - α)(R I_t + v_leak)``, where the method says α: exactly ``exp(-dt/τ)``, or by forward Euler
``1 - dt/τ``. A cell of Neko has the decay ``exp(-dt/τ')``; forward Euler is that of another time constant,
``τ' = -dt / ln(1 - dt/τ)``.
"""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from neko.arguments import check_choice
from neko.errors import ExchangeError

METHODS = ("exponential", "euler")
UNIT = 1e-12
"""A gain that is as near to 1 as this is 1."""


def check_method(method: str) -> None:
    """ValueError for an unknown method."""
    check_choice("method", method, METHODS)


def scaled(values: np.ndarray, digits: int) -> np.ndarray:
    """Numbers times a power of ten, exact in the decimals that they are written with: 0.0025 becomes 2.5, also where it
    has single precision.

    >>> scaled(np.array([0.0025], np.float32), 3)
    array([2.5])
    """
    return np.array([float(Decimal(str(value)).scaleb(digits)) for value in np.atleast_1d(values)])


def discretised(name: str, tau: np.ndarray, dt: float, method: str) -> np.ndarray:
    """The time constants in ms of Neko's cell for those of NIR in seconds."""
    found = scaled(tau, 3)
    if not (found > 0.0).all():
        raise ExchangeError(f"node {name!r}: a time constant of {found.min():g} ms: expected one above 0")
    if method == "exponential":
        return found
    if not (dt < found).all():
        raise ExchangeError(
            f"node {name!r}: forward Euler with dt={dt!r} ms and a time constant of {found.min():g} ms does not "
            "decay: expected a smaller dt, or method='exponential'"
        )
    return -dt / np.log1p(-dt / found)


def continuous(tau: np.ndarray, dt: float, method: str) -> np.ndarray:
    """The time constants of NIR in seconds for those of Neko's cell in ms: the inverse of `discretised`."""
    return scaled(tau if method == "exponential" else dt / gain(tau, dt), -3)


def gain(tau: np.ndarray, dt: float) -> np.ndarray:
    """``1 - α``, which a step makes of a current; for an infinite time constant of a neuron without leak,
    ``dv/dt = R I``, it is dt in seconds."""
    return np.where(np.isinf(tau), scaled(np.array(dt), -3), -np.expm1(-dt / tau))


def is_unit(values: np.ndarray) -> bool:
    """Whether all gains are 1."""
    return bool(np.all(np.abs(values - 1.0) <= UNIT))
