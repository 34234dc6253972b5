"""The Jacobian of a neuron's step, and what of its state matters later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from neko.typing import Array

Entries = tuple[Array | None, ...]


class StepJacobian(NamedTuple):
    """``state[i][j]`` = ∂h_t[i]/∂h_{t-1}[j] and ``current[i][c]`` = ∂h_t[i]/∂I_t[c], each (time, batch, n); None where
    it is zero by the structure of the step. After the currents follow the parameters of constants that learn."""

    state: tuple[Entries, ...]
    current: tuple[Entries, ...]


def live(depends: Sequence[Sequence[bool]]) -> tuple[bool, ...]:
    """Which state fields influence an emission at a later step, from whether field i depends on field j before."""
    reach = {len(depends) - 1}
    while True:
        found = {j for i in reach for j, d in enumerate(depends[i]) if d}
        if found <= reach:
            return tuple(any(depends[i][j] for i in reach) for j in range(len(depends)))
        reach |= found
