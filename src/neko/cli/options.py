"""The command line of a run, generated from the fields of its configuration."""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from neko.registry import load
from neko.runs.config import Config


class Command(TyperCommand):
    """A command whose help lists registered names, which are looked up when the help is printed."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        for parameter in self.params:
            told = getattr(parameter, "help", None)
            if told:
                parameter.help = re.sub(r"\{([\w.]+:\w+)\}", names, told)  # type: ignore[attr-defined]
        super().format_help(ctx, formatter)


def names(place: re.Match[str]) -> str:
    """The names in ``module:mapping``, or returned by ``module:function``, separated by commas."""
    found = load(place[1])
    return ", ".join(found() if callable(found) else found)


def build_option(name: str, kind: type[Config] = Config) -> Any:
    """The option of the command line for a field of a configuration."""
    (metadata,) = (field.metadata for field in dataclasses.fields(kind) if field.name == name)
    flags = () if metadata["flag"] is None else (metadata["flag"],)
    return typer.Option(*flags, help=metadata["help"], min=metadata["least"])


def build_command(kind: type[Config], act: Callable[..., None]) -> Callable[..., None]:
    """A function for Typer with an option for each field of a configuration and each keyword argument of `act`.

    ``act(kind, given, **own)`` gets the fields given on the command line, and its own arguments.
    """
    hints, own_hints = (typing.get_type_hints(f, include_extras=True) for f in (kind, act))
    own = [p for p in inspect.signature(act).parameters.values() if p.kind is inspect.Parameter.KEYWORD_ONLY]
    fields = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None if field.default is dataclasses.MISSING else field.default,
            annotation=Annotated[hints[field.name], build_option(field.name, kind)],
        )
        for field in dataclasses.fields(kind)
    ]

    def command(context: typer.Context, **values: Any) -> None:
        sources = {field.name: context.get_parameter_source(field.name) for field in fields}
        given = {name: values[name] for name, source in sources.items() if getattr(source, "name", "") == "COMMANDLINE"}
        act(kind, given, **{parameter.name: values[parameter.name] for parameter in own})

    parameters = [*fields, *(parameter.replace(annotation=own_hints[parameter.name]) for parameter in own)]
    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    command.__signature__ = inspect.Signature([context, *parameters])  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in (context, *parameters)}
    command.__doc__ = f"{inspect.getdoc(kind)}\n\n{inspect.getdoc(act)}"
    return command
