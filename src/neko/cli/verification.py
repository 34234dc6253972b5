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
    cell: Annotated[str, typer.Argument(help="module:MyCell, or path/to/file.py:MyCell; a class or an object.")],
    backend: Annotated[list[str] | None, typer.Option(help="Only this backend; may be repeated.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of weights and data.")] = 0,
) -> None:
    """Verify a cell of your own numerically against the oracles, and print every check with its measured deviation.

    It takes about a minute for each backend; the error stream reports each check as it ends. The exit code is 0
    if every check passes, otherwise 1.
    """
    from neko import verification

    def finished(check: Any) -> None:
        name, where, measured, _, verdict, _ = check.cells()
        tell(f"{where}: {name} {measured + ' ' if measured else ''}{verdict}")

    report = verification.verify(load(cell), backends=backend or None, seed=seed, finished=finished)
    common.say(report.cell)
    table = Table(*report.HEAD)
    colours = {True: "green", False: "red", None: "yellow"}
    for check in report.checks:
        *row, verdict, reason = check.cells()
        table.add_row(*row, f"[{colours[check.holds]}]{verdict}[/]", escape(reason))
    console.print(table)
    if not report.ok:
        raise typer.Exit(1)
