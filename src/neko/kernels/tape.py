"""Step Jacobians of a layer along a run, from entries that kernels compute."""

from __future__ import annotations

from neko.cells.jacobian import StepJacobian
from neko.kernels.plan import Plan
from neko.typing import Array


class Steps:
    """What the tapes of all frameworks share of `neko.rules.jacobian.Jacobians`."""

    plan: Plan
    alive: tuple[bool, ...]

    def entries(self, wanted: list[tuple[int, int]]) -> list[Array | None]:
        """Entries of the step's Jacobian, each (field after, argument); None where it is zero by structure."""
        raise NotImplementedError

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
