"""``neko verify``."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from neko.cli import common
from neko.cli.common import console
from neko.io.console import tell
from neko.registry import load


def verify(
    cell: Annotated[
        str | None, typer.Argument(help="module:MyCell, or path/to/file.py:MyCell; a class or an object.")
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option(help="A rule in place of a cell: path/to/file.py:MyRule, or any of {neko.rules:names}."),
    ] = None,
    backend: Annotated[list[str] | None, typer.Option(help="Only this backend; may be repeated.")] = None,
    all_rules: Annotated[
        bool, typer.Option("--all-rules", help="Judge a cell by every rule, not only by bptt, eprop and rtrl.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of weights and data.")] = 0,
) -> None:
    """Verify a cell of your own numerically against the oracles, or with --rule what can be held of any learning rule,
    and print every check with its measured deviation.

    With a rule, the cell is the neuron of the networks that it is held on; by default ALIF and GRU. It takes about a
    minute for each backend; the error stream reports each check as it ends. The exit code is 0 if every check passes,
    otherwise 1.
    """
    from neko import verification
    from neko.cells import CELLS

    if cell is None and rule is None:
        raise ValueError("neither a cell nor a rule: expected file.py:MyCell, or --rule file.py:MyRule")
    if rule is not None and all_rules:
        raise ValueError(f"--all-rules judges a cell: expected it without --rule {rule}")

    def finished(check: Any) -> None:
        name, where, measured, _, verdict, _ = check.cells()
        tell(f"{where}: {name} {measured + ' ' if measured else ''}{verdict}")

    given: dict[str, Any] = {"backends": backend or None, "seed": seed, "finished": finished}
    if rule is None:
        report = verification.verify(load(str(cell)), all_rules=all_rules, **given)
    else:
        report = verification.verify_rule(rule, cell=None if cell is None else CELLS.get(cell), **given)
    common.say(report.subject)
    table = Table(*report.HEAD)
    colours = {True: "green", False: "red", None: "yellow"}
    for check in report.checks:
        *row, verdict, reason = check.cells()
        table.add_row(*row, f"[{colours[check.holds]}]{verdict}[/]", escape(reason))
    console.print(table)
    if not report.ok:
        raise typer.Exit(1)
