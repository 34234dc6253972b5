"""Output to a terminal, a pipe or a file, in any encoding."""

from __future__ import annotations

import codecs
import io
import sys
import unicodedata

from rich.console import Console, ConsoleDimensions

WIDTH = 10_000
"""Width where there is no terminal, so that lines for programs and files are not wrapped."""
PLAIN = {"–": "-", "—": "-", "−": "-", "…": ".", "·": ".", "×": "x", "‖": "|", "‘": "'", "’": "'", "“": '"', "”": '"'}
"""ASCII for signs without a letter, one character each, so that columns of tables stay aligned."""
ERRORS = "neko.plain"
"""Name of the error handler that replaces characters a stream cannot encode."""


class Output(Console):
    """Rich's console, without its width of 80 columns for pipes."""

    @property
    def size(self) -> ConsoleDimensions:
        return super().size if self.file.isatty() else ConsoleDimensions(WIDTH, 25)

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        self._width, self._height = new_size


complaints = Output(stderr=True, emoji=False)
"""The error stream, for errors, warnings and progress, so that results can be piped."""


def tell(text: str) -> None:
    """Print a line about progress to the error stream."""
    complaints.print(text, soft_wrap=True, highlight=False, markup=False)


def tolerate() -> None:
    """Replace characters that the standard streams cannot encode, such as 'κ' in ASCII, instead of raising."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERRORS)


def replaced(error: UnicodeError) -> tuple[str, int]:
    """The error handler: a letter without its accent, a similar sign, or a question mark."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(plain(c) for c in error.object[error.start : error.end]), error.end


def plain(character: str) -> str:
    letter = PLAIN.get(character, unicodedata.normalize("NFKD", character)[:1])
    return letter if letter.isascii() else "?"


codecs.register_error(ERRORS, replaced)
