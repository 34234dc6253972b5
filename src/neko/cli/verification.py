"""``neko verify``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from neko.cli import common
from neko.cli.common import console


def verify(
    cell: Annotated[str, typer.Argument(help="module:MyCell, or path/to/file.py:MyCell; a class or an object.")],
    backend: Annotated[list[str] | None, typer.Option(help="Only this backend; may be given again.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of weights and data.")] = 0,
) -> None:
    """Check a cell of your own against the oracles, and print what holds, with the numbers.

    It takes about a minute for each backend; each check is told on the error stream as it ends. The exit code
    is 0 if all of it holds, 1 if not.
    """
    from neko import verification

    def finished(check: Any) -> None:
        name, where, measured, _, verdict, _ = check.cells()
        common.tell(f"{where}: {name} {measured + ' ' if measured else ''}{verdict}")

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


def load(target: str) -> Any:
    """The object that ``module:name`` or ``file.py:name`` stands for; ValueError or ImportError if there is none."""
    place, _, name = target.rpartition(":")
    if not place or not name:
        raise ValueError(f"cell {target!r}: expected module:MyCell or file.py:MyCell")
    module = from_file(Path(place)) if place.endswith(".py") else from_name(place)
    if not hasattr(module, name):
        from neko.cells import Cell

        own = [key for key, value in vars(module).items() if isinstance(value, type) and issubclass(value, Cell)]
        raise ValueError(f"{place} has no {name!r}: expected one of its cells {sorted(set(own) - {'Cell'})!r}")
    return getattr(module, name)


def from_name(name: str) -> Any:
    """A module that can be imported, from the current folder too."""
    sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except Exception as error:  # a user's code may raise anything
        raise ImportError(f"module {name!r} cannot be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)


def from_file(path: Path) -> Any:
    """A module from a file."""
    if not path.is_file():
        raise FileNotFoundError(f"no file {str(path)!r}: expected path/to/file.py:MyCell")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look themselves up
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # a user's code may raise anything
        raise ImportError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    return module
