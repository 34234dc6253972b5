"""``neko data``: the data sets and their files."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from neko.cli import common
from neko.cli.common import console

app = typer.Typer(help="The data sets and their files.", no_args_is_help=True)


@app.command("list")
def listing() -> None:
    """List every data set: what it is, its licence, and where its files are."""
    from neko import datasets

    table = Table(title="Data sets")
    table.add_column("name", no_wrap=True)
    for heading in ("what it is", "licence", "where it is"):
        table.add_column(heading)
    for name, entry in datasets.DATASETS.items():
        table.add_row(name, entry.about, entry.licence, entry.place())
    console.print(table)


@app.command()
def get(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Data sets, as `neko data list` shows.")],
) -> None:
    """Find the files of data sets, download those that are missing, and print their paths."""
    from neko import datasets

    for entry, name in [(datasets.entry(name), name) for name in names]:
        for path in entry.paths():
            common.say(str(path))
        if entry.place() == "built in":
            common.say(f"{name} needs no file")
