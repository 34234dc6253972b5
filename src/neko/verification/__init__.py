"""Numerical verification of a user's cell: every check with its measured deviation, every failure with its reason."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from neko import backend as registry
from neko.backend.protocol import Backend
from neko.cells.base import Cell
from neko.rules import RULES
from neko.training.pairs import resolve
from neko.verification import cases, form
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
    """Check a cell of your own by the checks of neko's cells, on every installed backend.

    The form of the state, finite runs, the column law (by values and by derivatives), spikes in {0, 1}, a network that
    is active, gradients that are not zero; then, on data for which the network is active, in double precision: BPTT
    against automatic differentiation of a plain loop, RTRL against BPTT, e-prop against automatic differentiation with
    its cuts, e-prop in chunks against the whole, generated kernels against the step, and every backend against the
    first. A check that depends on a failed one is not run.

    Parameters
    ----------
    cell : Cell or subclass of Cell
        A class is instantiated with 6 neurons.
    backends : sequence of str, optional
        Names; by default all that are installed.
    seed : int
        Of weights and data.
    finished : callable
        Called with every check when it ends.

    Returns
    -------
    Report
        ``report.ok``, ``report.failures``, and a table as ``str(report)``.

    Raises
    ------
    TypeError
        If it is not a cell.
    ValueError
        For an unknown backend.
    ImportError
        If no framework is installed.

    Notes
    -----
    One layer is checked: how layers are stacked does not depend on the cell. A check that passes on these data may
    still fail elsewhere in the cell's state space.

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
    first: cases.Case | None = None
    for name in chosen:
        xp = registry.get(name, dtype="float64")
        with xp.scope():
            found, case = on_backend(xp, made, seed, first, finished)
        checks += found
        first = first or case
    return Report(repr(made), tuple(checks))


def on_backend(
    xp: Backend, cell: Cell, seed: int, first: cases.Case | None, finished: Callable[[Check], None]
) -> tuple[list[Check], cases.Case | None]:
    """The checks on one backend, and the network that they used."""
    run = Runner(xp.name, finished)
    run("form", lambda: form.check_form(xp, cell))
    alive = run("alive", lambda: form.find_scale(xp, cell, cases.N_IN, seed), show=lambda found: found[1])
    scale = 0.0 if alive is None else alive[0]
    run("finite run", lambda: form.check_finite(xp, cell, scale, seed))
    run("column law", lambda: form.check_columns(xp, cell, scale, seed))
    run("cut of the reset", lambda: form.check_cut(xp, cell, scale, seed), limit=0.0)
    case = run("trainable", lambda: cases.build_case(xp, cell, scale, seed), show=cases.surrogate)
    for name, oracle in judged_rules():
        run(f"{name} = {oracle}", functools.partial(judged, case, oracle, resolve(name)), limit=EXACT)
    run("e-prop in chunks = whole", lambda: cases.forms(case), limit=EXACT)
    if case is not None:
        reasons = {offer.reason for offer in case.evaluator.model.kernels if not offer.generated}
        if reasons:
            run.note(Check("kernels", xp.name, True, reason=f"none, {'; '.join(sorted(reasons))}"))
        else:
            run("kernels = step", lambda: cases.kernels(case), limit=EXACT)
    if first is not None:
        other = first.xp.name
        run(
            f"outputs = {other}",
            lambda: cases.max_relative_error(cases.outputs(case), cases.outputs(first)),
            limit=EXACT,
        )
        run(f"BPTT = {other}", lambda: cases.max_relative_error(case.bptt, first.bptt), limit=EXACT)
    return run.checks, case


def judged_rules() -> list[tuple[str, str]]:
    """Every rule of the registry, in each of its modes, with its oracle."""
    return [
        (name, RULES.about(base)["oracle"])
        for base in RULES
        for name in ([f"{base}:{mode}" for mode in RULES.about(base).get("modes", ())] or [base])
    ]


def judged(case: cases.Case, oracle: str, rule: Callable[..., Any]) -> float:
    """The deviation that an oracle measures of a rule on a case."""
    return ORACLES[oracle](case, cases.made(rule, case.evaluator))


class Runner:
    """Runs checks in order; after a failed check of `FOUNDATION` none is run."""

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
        """The result of a check, None if it failed or was not run; `show` gives the number in the table."""
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
            self.note(Check(name, self.backend, False, value, limit, "the two differ by more than the limit"))
            return None
        self.note(Check(name, self.backend, True, value, limit))
        return found

    def note(self, check: Check) -> None:
        self.checks.append(check)
        self.finished(check)

    def fail(self, name: str, reason: str) -> None:
        self.note(Check(name, self.backend, False, reason=reason))
        if name in self.FOUNDATION:
            self.broken = name


__all__ = ["ORACLES", "Check", "Report", "verify"]
