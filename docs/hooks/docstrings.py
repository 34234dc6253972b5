"""Docstrings in reStructuredText as Markdown, for the API reference."""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path
from typing import Any

import griffe

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

import api_pages

BLOCK = re.compile(r"^( *)\.\. math::\n\n?((?:\1 +\S.*\n?|\n(?=\1 +\S))+)", flags=re.M)


def markdown(text: str, known: dict[str, str]) -> str:
    """A docstring with formulas, raised and lowered text and names of the library in the marks of Markdown."""
    text = re.sub(r"^( *)\.\. math:: (\S)", r"\1.. math::\n\1    \2", f"{text}\n", flags=re.M)
    text = BLOCK.sub(fence, text)
    text = re.sub(r":math:`([^`]*)`", r"$\1$", text)
    text = re.sub(r":(sub|sup):`([^`]*)`\\?", r"<\1>\2</\1>", text)
    return re.sub(r"(?<![`\w])`([A-Za-z_][\w.]*)`(?!`)", lambda found: linked(found[1], known), text)


def fence(found: re.Match[str]) -> str:
    """A formula as a block of its own."""
    body = " ".join(textwrap.dedent(found[2]).split())
    return f"{found[1]}```math\n{found[1]}{body}\n{found[1]}```\n"


def linked(name: str, known: dict[str, str]) -> str:
    """A name in code, linked where it is public."""
    return f"[`{name}`][{known[name]}]" if name in known else f"`{name}`"


def public() -> dict[str, str]:
    """Names that are linked, each with its place: ``neko.rules.Eprop``, and ``Eprop`` where that is unique."""
    found: dict[str, str] = {}
    short: dict[str, set[str]] = {}
    for module, own in api_pages.entries().items():
        for name, place in own.items():
            found[f"{module}.{name}"] = place
            if not name.islower():
                short.setdefault(name, set()).add(place)
    return found | {name: place for name, (place, *others) in short.items() if not others}


class Docstrings(griffe.Extension):
    """Rewrites each docstring once it is read."""

    known = public()

    def on_object(self, *, obj: griffe.Object, loader: griffe.GriffeLoader, **options: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = markdown(obj.docstring.value, self.known)
