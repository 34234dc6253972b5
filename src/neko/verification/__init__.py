"""The oracles on a cell of one's own: what holds, with the numbers, and what does not, with the reason."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from neko import backend as registry
from neko.backend.protocol import Backend
from neko.cells.base import Cell
from neko.rules import RULES
from neko.training.pairs import resolve
from neko.verification import form, proofs
from neko.verification.oracles import ORACLES
from neko.verification.report import Check, Report

EXACT = 1e-9
"""Largest relative deviation between two computations of one number in double precision."""
UNITS = 6


def verify(
    cell: Any,
    *,
    backends: Sequence[str] | None = None,
    seed: int = 0,
    finished: Callable[[Check], None] = lambda check: None,
) -> Report:
    """Check a cell of your own as the cells of neko are checked, on every installed backend.

    Its form, finite runs, the column law (by values and by derivatives), spikes in {0, 1}, a network that is alive,
    gradients that are not dead; then, with data at which the network lives, in double precision: BPTT against automatic
    differentiation of a plain loop, RTRL against BPTT, e-prop against automatic differentiation with its cuts, e-prop
    in pieces against the whole, and every backend against the first. A check that rests on one that failed is not run.

    Parameters
    ----------
    cell : Cell or subclass of Cell
        A class is made with 6 neurons.
    backends : sequence of str, optional
        Names; by default all that are installed.
    seed : int
        Of weights and data.
    finished : callable
        Gets every check as it ends.

    Returns
    -------
    Report
        ``report.ok``, ``report.failures``, and a table as ``str(report)``.

    Raises
    ------
    TypeError
        If it is no cell.
    ValueError
        For a backend that there is not.
    ImportError
        If no framework is installed.

    Notes
    -----
    One layer is looked at: how layers are stacked does not depend on the cell. What holds on these data may still
    fail elsewhere in the cell's state space.

    Examples
    --------
    >>> from neko.cells import LIF
    >>> verify(LIF, backends=["torch"]).ok
    True
    """
    made = cell(UNITS) if isinstance(cell, type) and issubclass(cell, Cell) else cell
    if not isinstance(made, Cell):
        raise TypeError(f"cell={cell!r}: expected a neko.cells.Cell or a subclass of it")
    chosen = (registry.installed() or (registry.default(),)) if backends is None else tuple(backends)
    if not chosen or isinstance(backends, str):
        raise ValueError(f"backends={backends!r}: expected names of {registry.available()!r}")
    checks: list[Check] = []
    first: proofs.Case | None = None
    for name in chosen:
        xp = registry.get(name, dtype="float64")
        with xp.scope():
            found, case = on_backend(xp, made, seed, first, finished)
        checks += found
        first = first or case
    return Report(repr(made), tuple(checks))


def on_backend(
    xp: Backend, cell: Cell, seed: int, first: proofs.Case | None, finished: Callable[[Check], None]
) -> tuple[list[Check], proofs.Case | None]:
    """The checks on one backend, and the network that they were made on."""
    run = Runner(xp.name, finished)
    run("form", lambda: form.check_form(xp, cell))
    alive = run("alive", lambda: form.find_scale(xp, cell, proofs.N_IN, seed), show=lambda found: found[1])
    scale = 0.0 if alive is None else alive[0]
    run("finite run", lambda: form.check_finite(xp, cell, scale, seed))
    run("column law", lambda: form.check_columns(xp, cell, scale, seed))
    run("cut of the reset", lambda: form.check_cut(xp, cell, scale, seed), limit=0.0)
    case = run("trainable", lambda: proofs.case_of(xp, cell, scale, seed), show=proofs.surrogate)
    for name, oracle in judged_rules():
        run(f"{name} = {oracle}", functools.partial(judged, case, oracle, resolve(name)), limit=EXACT)
    run("e-prop in chunks = whole", lambda: proofs.forms(case), limit=EXACT)
    if first is not None:
        other = first.xp.name
        run(
            f"outputs = {other}",
            lambda: proofs.max_relative_error(proofs.outputs(case), proofs.outputs(first)),
            limit=EXACT,
        )
        run(f"BPTT = {other}", lambda: proofs.max_relative_error(case.bptt, first.bptt), limit=EXACT)
    return run.checks, case


def judged_rules() -> list[tuple[str, str]]:
    """Every rule of the registry, of several modes each, with the oracle that it names."""
    return [
        (name, RULES.about(base)["oracle"])
        for base in RULES
        for name in ([f"{base}:{mode}" for mode in RULES.about(base).get("modes", ())] or [base])
    ]


def judged(case: proofs.Case, oracle: str, rule: Callable[..., Any]) -> float:
    """What an oracle measures of a rule that is made for the case."""
    return ORACLES[oracle](case, proofs.made(rule, case.evaluator))


class Runner:
    """Runs checks one after the other; of those that come after a broken foundation none is run."""

    FOUNDATION = ("form", "alive", "finite run", "column law", "trainable")

    def __init__(self, backend: str, finished: Callable[[Check], None]) -> None:
        self.backend = backend
        self.finished = finished
        self.checks: list[Check] = []
        self.broken = ""

    def __call__(
        self,
        name: str,
        check: Callable[[], Any],
        *,
        limit: float | None = None,
        show: Callable[[Any], float | None] = lambda found: found,
    ) -> Any:
        """What the check gives, None if it failed or was not run; `show` is the number in the table."""
        if self.broken:
            self.note(Check(name, self.backend, None, reason=f"{self.broken} does not hold"))
            return None
        try:
            found = check()
            value = show(found)
        except form.BrokenError as error:
            return self.fail(name, str(error))
        except Exception as error:  # a user's code may raise anything
            return self.fail(name, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
        if limit is not None and not value <= limit:  # type: ignore[operator]
            self.note(Check(name, self.backend, False, value, limit, "the two are not the same"))
            return None
        self.note(Check(name, self.backend, True, value, limit))
        return found

    def note(self, check: Check) -> None:
        """Keep a check, and tell of it."""
        self.checks.append(check)
        self.finished(check)

    def fail(self, name: str, reason: str) -> None:
        """Note a failure."""
        self.note(Check(name, self.backend, False, reason=reason))
        if name in self.FOUNDATION:
            self.broken = name


__all__ = ["ORACLES", "Check", "Report", "verify"]
