"""The checks of a cell or a rule, and their results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Check(NamedTuple):
    """One check on one backend.

    ``value`` is the measured number, if any, and ``limit`` its upper limit; ``holds`` is None if the check was not run;
    ``reason`` says what is wrong and how to correct it, or where it was measured.
    """

    name: str
    backend: str
    holds: bool | None
    value: float | None = None
    limit: float | None = None
    reason: str = ""

    @property
    def verdict(self) -> str:
        return "not run" if self.holds is None else "ok" if self.holds else "FAILED"

    def cells(self) -> tuple[str, str, str, str, str, str]:
        """The row of a table."""
        value = "" if self.value is None else f"{self.value:.2g}"
        limit = "" if self.limit is None else f"{self.limit:.0e}"
        return self.name, self.backend, value, limit, self.verdict, self.reason


@dataclass(frozen=True)
class Report:
    """All checks of a cell or a rule.

    Attributes
    ----------
    subject : str
        The `repr` of the cell, or the name of the rule.
    checks : tuple of Check
        In the order in which they were run.
    """

    subject: str
    checks: tuple[Check, ...]

    HEAD = ("check", "backend", "measured", "limit", "verdict", "remark")

    @property
    def ok(self) -> bool:
        """Whether every check was run and holds."""
        return all(check.holds for check in self.checks)

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that do not hold."""
        return tuple(check for check in self.checks if check.holds is False)

    def __str__(self) -> str:
        rows = [self.HEAD, *(check.cells() for check in self.checks)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(self.HEAD))]
        lines = ["  ".join(entry.ljust(width) for entry, width in zip(row, widths, strict=True)) for row in rows]
        return "\n".join([self.subject, *(line.rstrip() for line in lines)])
