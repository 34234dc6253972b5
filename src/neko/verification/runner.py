"""Runs checks on a person's code, and notes every result with its reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from neko.verification.form import BrokenError
from neko.verification.report import Check


class ExemptError(Exception):
    """A check that does not apply to what is checked, with the reason: it is noted, and holds."""


def accepted(build: Callable[..., Any], model: Any, **options: Any) -> Any:
    """``build(model, **options)``, exempt where that refuses the model by a ValueError or TypeError."""
    try:
        return build(model, **options)
    except (ValueError, TypeError) as error:
        raise ExemptError(f"refused: {error}") from error


class Runner:
    """Runs checks on one backend in order; after a failed check of the `foundation` none is run.

    The names of all checks begin with `prefix`.
    """

    def __init__(
        self, backend: str, finished: Callable[[Check], None], foundation: tuple[str, ...], prefix: str = ""
    ) -> None:
        self.backend = backend
        self.finished = finished
        self.foundation = foundation
        self.prefix = prefix
        self.checks: list[Check] = []
        self.broken = ""

    def __call__(
        self,
        name: str,
        check: Callable[[], Any],
        *,
        limit: float | None = None,
        show: Callable[[Any], float | None] = lambda found: found,
        remark: Callable[[Any], str] = lambda found: "",
        wrong: str = "the two differ by more than the limit",
    ) -> Any:
        """The result of a check, None if it failed or was not run.

        `show` and `remark` give number and remark of the table from the result; `wrong` is the reason where the number
        is above the `limit`.
        """
        if self.broken:
            self.note(name, None, reason=f"{self.broken} does not hold")
            return None
        try:
            found = check()
            value = show(found)
        except ExemptError as error:
            self.note(name, True, reason=str(error))
            return None
        except BrokenError as error:
            return self.fail(name, str(error))
        except Exception as error:  # a user's code may raise anything
            return self.fail(name, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
        if limit is not None and not value <= limit:  # type: ignore[operator]
            self.note(name, False, value, limit, wrong)
            return None
        self.note(name, True, value, limit, remark(found))
        return found

    def note(
        self,
        name: str,
        holds: bool | None,
        value: float | None = None,
        limit: float | None = None,
        reason: str = "",
    ) -> None:
        check = Check(f"{self.prefix}{name}", self.backend, holds, value, limit, reason)
        self.checks.append(check)
        self.finished(check)

    def fail(self, name: str, reason: str) -> None:
        self.note(name, False, reason=reason)
        if name in self.foundation:
            self.broken = name
