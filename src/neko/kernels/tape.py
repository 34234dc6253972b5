"""Step Jacobians of a layer along a run, from entries that kernels compute."""

from __future__ import annotations

from typing import Any

from neko.cells.jacobian import StepJacobian
from neko.kernels.layer import Run
from neko.kernels.plan import Plan
from neko.typing import Array


class Steps:
    """What the tapes of all frameworks share of `neko.rules.jacobian.Jacobians`."""

    def __init__(self, kernels: Any, run: Run) -> None:
        self.kernels, self.run = kernels, run
        self.plan: Plan = kernels.plan
        self.alive = self.plan.alive

    def computed(self, wanted: tuple[tuple[int, int], ...]) -> list[Array]:
        """Entries of the step's Jacobian, each (field after, argument), none of them zero by structure."""
        found: list[Array] = self.kernels.entries(self.run, wanted)
        return found

    def entries(self, wanted: list[tuple[int, int]]) -> list[Array | None]:
        """As `computed`, None for an entry that is zero by structure."""
        there = tuple(w for w in wanted if self.plan.rows[w[0]][w[1]] is not None)
        found = dict(zip(there, self.computed(there), strict=True))
        return [found.get(w) for w in wanted]

    def slopes(self) -> tuple[Array | None, ...]:
        """∂z_t/∂I_t of every current, (time, batch, n)."""
        last, d = len(self.alive) - 1, len(self.alive)
        return tuple(self.entries([(last, d + c) for c in range(len(self.plan.currents))]))

    def all_steps(self) -> StepJacobian:
        d, k = len(self.alive), len(self.plan.currents)
        found = self.entries([(i, j) for i in range(d) for j in range(d + k)])
        rows = [tuple(found[i * (d + k) : (i + 1) * (d + k)]) for i in range(d)]
        return StepJacobian(tuple(row[:d] for row in rows), tuple(row[d:] for row in rows))

    @property
    def xs(self) -> StepJacobian:
        return self.all_steps()

    def at(self, columns: StepJacobian) -> StepJacobian:
        return columns
