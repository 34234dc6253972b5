"""The command line: ``neko`` with demo, train, show, runs, sample, compare, sweep, encode, import, export, reproduce,
verify and data."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from neko import __version__
from neko.cli import (
    common,
    data,
    demo,
    devices,
    encoding,
    exchanging,
    listing,
    reproducing,
    running,
    sweeping,
    verification,
)
from neko.cli.options import Command, build_command
from neko.io import console
from neko.runs.config import COMMANDS


class Commands(TyperGroup):
    """All commands, with output that every terminal encoding accepts and errors in one line."""

    def main(self, *args: Any, **options: Any) -> Any:
        console.tolerate()
        return super().main(*args, **options)

    def invoke(self, ctx: Any) -> Any:
        with common.plain_errors():
            return super().invoke(ctx)


app = typer.Typer(cls=Commands, add_completion=False, no_args_is_help=True)


def print_version(wanted: bool) -> None:
    """Print the version and exit."""
    if wanted:
        common.console.print(f"neko {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Learning rules of the brain and of neuromorphic hardware."""


app.command(cls=Command)(demo.demo)
for name, kind in COMMANDS.items():
    app.command(name, cls=Command)(build_command(kind, running.run))
app.command()(running.show)
app.command()(listing.runs)
app.command()(sweeping.sweep)
app.command()(encoding.encode)
app.command("import")(exchanging.import_)
app.command()(exchanging.export)
app.command(cls=Command)(reproducing.reproduce)
app.command(cls=Command)(verification.verify)
app.add_typer(data.app, name="data")
app.add_typer(devices.app, name="device")

__all__ = ["app"]
