"""Numerical verification of a user's cell: every check with its measured deviation, every failure with its reason."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from neko import backend as registry
from neko.backend.protocol import Backend
from neko.cells.base import Cell
from neko.rules import RULES
from neko.training.pairs import resolve
from neko.verification import cases, form
from neko.verification.oracles import ORACLES
from neko.verification.report import Check, Report
from neko.verification.rule import verify_rule
from neko.verification.runner import Runner, accepted

FOUNDATION = ("form", "alive", "finite run", "column law", "trainable")
"""Checks on which all later ones depend."""
USUAL = ("bptt", "eprop", "rtrl")
"""Rules by which a cell is judged: those that the others are derived from."""


def verify(
    cell: Any,
    *,
    backends: Sequence[str] | None = None,
    all_rules: bool = False,
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
    all_rules : bool
        Judge the cell by every rule of the registry against its oracle, not only by BPTT, RTRL and e-prop. A rule that
        is not defined for the cell is noted with its reason.
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
    made = cases.made_cell(cell)
    checks: list[Check] = []
    first: cases.Case | None = None
    for name in cases.chosen(backends):
        xp = registry.get(name, dtype="float64")
        with xp.scope():
            found, case = on_backend(xp, made, RULES if all_rules else USUAL, seed, first, finished)
        checks += found
        first = first or case
    return Report(repr(made), tuple(checks))


def on_backend(
    xp: Backend,
    cell: Cell,
    rules: Iterable[str],
    seed: int,
    first: cases.Case | None,
    finished: Callable[[Check], None],
) -> tuple[list[Check], cases.Case | None]:
    """The checks on one backend, and the network that they used."""
    run = Runner(xp.name, finished, FOUNDATION)
    run("form", lambda: form.check_form(xp, cell))
    alive = run("alive", lambda: form.find_scale(xp, cell, cases.N_IN, seed), show=lambda found: found[1])
    scale = 0.0 if alive is None else alive[0]
    run("finite run", lambda: form.check_finite(xp, cell, scale, seed))
    run("column law", lambda: form.check_columns(xp, cell, scale, seed))
    run("cut of the reset", lambda: form.check_cut(xp, cell, scale, seed), limit=0.0)
    case = run("trainable", lambda: cases.build_case(xp, cell, scale, seed), show=cases.surrogate)
    for name, oracle in judged_rules(rules):
        rule = functools.partial(accepted, resolve(name))
        run(f"{name} = {oracle}", functools.partial(judged, case, oracle, rule), limit=cases.EXACT)
    run("e-prop in chunks = whole", lambda: cases.forms(case), limit=cases.EXACT)
    if case is not None:
        run("kernels = step", lambda: cases.kernels(case), limit=cases.EXACT)
    if first is not None:
        other = first.xp.name
        run(
            f"outputs = {other}",
            lambda: cases.max_relative_error(cases.outputs(case), cases.outputs(first)),
            limit=cases.EXACT,
        )
        run(f"BPTT = {other}", lambda: cases.max_relative_error(case.bptt, first.bptt), limit=cases.EXACT)
    return run.checks, case


def judged_rules(names: Iterable[str] = RULES) -> list[tuple[str, str]]:
    """Rules of the registry, by default all, in each of their modes, with their oracles."""
    return [
        (name, RULES.about(base)["oracle"])
        for base in names
        for name in ([f"{base}:{mode}" for mode in RULES.about(base).get("modes", ())] or [base])
    ]


def judged(case: cases.Case, oracle: str, rule: Callable[..., Any]) -> float:
    """The deviation that an oracle measures of a rule on a case."""
    return ORACLES[oracle](case, cases.made(rule, case.evaluator))


__all__ = ["ORACLES", "Check", "Report", "verify", "verify_rule"]
