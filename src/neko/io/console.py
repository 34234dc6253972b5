"""What is printed: to a terminal, a pipe or a file, in whatever encoding it has."""

from __future__ import annotations

import codecs
import io
import sys
import unicodedata

from rich.console import Console, ConsoleDimensions

WIDTH = 10_000
"""Columns where there is no terminal: a line that is read by a program or kept in a file is not broken."""
PLAIN = {"–": "-", "—": "-", "−": "-", "…": ".", "·": ".", "×": "x", "‖": "|", "‘": "'", "’": "'", "“": '"', "”": '"'}
"""What stands for characters that have no letter in them; one for one, so that tables keep their columns."""
ERRORS = "neko.plain"
"""Name of the way in which characters that a stream cannot encode are replaced."""


class Output(Console):
    """Rich's console, which takes a pipe for 80 columns wide, without that width."""

    @property
    def size(self) -> ConsoleDimensions:
        return super().size if self.file.isatty() else ConsoleDimensions(WIDTH, 25)

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        self._width, self._height = new_size


complaints = Output(stderr=True, emoji=False)
"""Where errors, warnings and progress go, so that what a command prints can be piped."""


def tell(text: str) -> None:
    """A line beside the result, of what begins or goes on."""
    complaints.print(text, soft_wrap=True, highlight=False, markup=False)


def tolerate() -> None:
    """Let the standard streams print any text: what their encoding does not have becomes a plain character.

    Without this a 'κ' ends a command with a UnicodeEncodeError on a terminal in ASCII or in code page 932.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERRORS)


def replaced(error: UnicodeError) -> tuple[str, int]:
    """ASCII for what cannot be encoded: a letter without its accent, a similar sign, or a question mark."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(plain(c) for c in error.object[error.start : error.end]), error.end


def plain(character: str) -> str:
    """One ASCII character for any."""
    letter = PLAIN.get(character, unicodedata.normalize("NFKD", character)[:1])
    return letter if letter.isascii() else "?"


codecs.register_error(ERRORS, replaced)
