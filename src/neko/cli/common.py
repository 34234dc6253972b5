"""Output of results, errors and warnings, shared by all commands."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any, NoReturn

import typer
from rich.markup import escape

from neko.errors import WorldError
from neko.io.console import Output, complaints

console = Output(emoji=False)


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Print errors of usage in one line and exit with code 2, warnings in one line, and exit with 130 after Ctrl-C."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = show_warning
            yield
    except KeyboardInterrupt:
        stopped("")
    except BrokenPipeError:  # the reader of the output has closed it
        raise
    except (ValueError, TypeError, ImportError, OSError, ArithmeticError, WorldError) as error:
        complaints.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True, highlight=False)
        raise typer.Exit(2) from error


def stopped(told: str, command: str | None = None) -> NoReturn:
    """Exit after Ctrl-C with a line that ends with the command to continue, so that it can be copied."""
    say(f"Stopped{f' {told}' if told else ''}{'.' if command is None else f'; to go on: {command}'}")
    raise typer.Exit(130)


def show_warning(
    message: Warning | str, category: Any, filename: str, lineno: int, file: Any = None, line: str | None = None
) -> None:
    """Replaces `warnings.showwarning`: a warning without its line of code."""
    complaints.print(f"[yellow]warning:[/yellow] {escape(str(message))}", soft_wrap=True, highlight=False)


def say(text: str) -> None:
    """Print a line of the result without markup."""
    console.print(text, soft_wrap=True, highlight=False, markup=False)
