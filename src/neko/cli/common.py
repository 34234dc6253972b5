"""What the commands share: how results, errors and warnings are printed."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any, NoReturn

import typer
from rich.markup import escape

from neko.io.console import Output, complaints

console = Output(emoji=False)


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """What a person got wrong, in one line and with exit code 2; warnings in one line too; Ctrl-C ends with 130."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = show_warning
            yield
    except KeyboardInterrupt:
        stopped("")
    except BrokenPipeError:  # whoever read the output has seen enough
        raise
    except (ValueError, TypeError, ImportError, OSError, ArithmeticError) as error:
        complaints.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True, highlight=False)
        raise typer.Exit(2) from error


def stopped(told: str, command: str | None = None) -> NoReturn:
    """End after Ctrl-C, with what was done and, last in the line so that it can be copied, the command that goes on."""
    say(f"Stopped{f' {told}' if told else ''}{'.' if command is None else f'; to go on: {command}'}")
    raise typer.Exit(130)


def show_warning(
    message: Warning | str, category: Any, filename: str, lineno: int, file: Any = None, line: str | None = None
) -> None:
    """A warning without the line of code that it came from, as `warnings.showwarning` is called."""
    complaints.print(f"[yellow]warning:[/yellow] {escape(str(message))}", soft_wrap=True, highlight=False)


def say(text: str) -> None:
    """A line of the result, as it is."""
    console.print(text, soft_wrap=True, highlight=False, markup=False)
