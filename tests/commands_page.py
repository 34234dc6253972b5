"""The page of the command line, from the commands themselves. ``make docs`` makes it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer

from neko.cli import app
from neko.cli.options import names

INTRODUCTION = """\
# Command line

Each command with its arguments and options, as `neko COMMAND --help` prints them. Where a name of the library is
expected, `my_file.py:Name` is a part of [your own](own.md), with options as in `my_file.py:Name(option=1.0)`.
"""


def commands(found: Any, words: tuple[str, ...] = ("neko",)) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with the words that call it."""
    for name, command in getattr(found, "commands", {}).items():
        yield from commands(command, (*words, name))
    if not hasattr(found, "commands"):
        yield words, found


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION.rstrip()]
    for words, command in commands(typer.main.get_command(app)):
        parts += [f"## {' '.join(words)}", told(command.help or "")]
        rows = [row(parameter) for parameter in command.params if parameter.name != "help"]
        parts += ["\n".join(["| option | default | what it is |", "| --- | --- | --- |", *rows])] if rows else []
    return "\n\n".join(parts) + "\n"


def row(parameter: Any) -> str:
    """A row of an argument or an option."""
    names = [*parameter.opts, *parameter.secondary_opts]
    shown = [f"`{name}`" for name in names] if names[0].startswith("-") else [f"`{parameter.name.upper()}`"]
    default = (
        "" if parameter.default in (None, (), [], False) or callable(parameter.default) else f"`{parameter.default}`"
    )
    return f"| {', '.join(shown)} | {default} | {told(getattr(parameter, 'help', None) or '')} |"


def told(text: str) -> str:
    """A help text as one paragraph."""
    text = re.sub(r"\{([\w.]+:\w+)\}", names, text)
    text = re.sub(r"\[/?(?:bold|italic|dim)\]", "", " ".join(text.replace("\b", "").replace("``", "`").split()))
    return text.replace("|", "\\|").replace("<", "\\<")
