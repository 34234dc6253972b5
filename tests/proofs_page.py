"""The page of proofs, derived from the registries and from the tests, whose names are the sentences that they hold.

``make docs`` makes it; ``tests/unit/test_site.py`` checks it.
"""

from __future__ import annotations

import ast
import functools
import inspect
import re
from pathlib import Path
from typing import NamedTuple

import catalogue
import rules_page
from neko.rules import RULES
from neko.verification import ORACLES

TESTS = Path(__file__).parent
INTRODUCTION = """\
# Proofs

What every part of the library is held against, and the test that holds it. The page is made from the registries and
from the tests: the name of a test is the sentence that it holds.

A test first asserts that what it needs is there: the network spikes, the gradient is not zero, what is under test
moves the result. Expected values come from mathematics, from an independent computation, or from published numbers.
`make test` runs the tests; `make proofs` runs those marked *long*, which take minutes or hours.

```bash
make test
make proofs
.venv/bin/python -m pytest tests/laws/test_rules.py # one file
```
"""
RULES_ARE = """\
## Learning rules

Each rule names an *oracle*, an independent computation of the same gradient. In double precision rule and oracle agree
to 1e-9 on a layer of adaptive neurons, on a GRU and on a stack of two layers, and the oracle rejects the rule when one
of its gradients is made 1 % too large (`tests/laws/test_rules.py`)."""
REGISTRIES_ARE = """\
## Every entry of a registry

A new part is tried by being registered: these files read its registry, and most of them run over all of its entries."""
LAWS_ARE = "## Laws"
NAMES = {
    **{name.lower(): name for name in ("Bayesian", "Cholesky", "Gaussian", "Hessian", "Jacobian", "Laplace", "NumPy")},
    **{
        name.lower(): name for name in ("Kolen", "Poisson", "PyTorch", "Keras", "AdEx", "KeRNL", "TensorFlow", "e-prop")
    },
    **{
        name: name.upper()
        for name in ("alif", "bptt", "gru", "hmc", "ivon", "kf", "lif", "lstm", "mala", "nir", "ottt")
    },
    **{
        name: name.upper()
        for name in ("rflo", "rnn", "rtrl", "sghmc", "sgld", "stdp", "swag", "uoro", "csv", "decolle")
    },
}
"""Names as they are written in a sentence."""


class Law(NamedTuple):
    """A test: the sentence that it holds, and whether only `make proofs` runs it."""

    sentence: str
    long: bool


class File(NamedTuple):
    """A file of tests: what it is about, and its laws."""

    title: str
    laws: list[Law]


@functools.cache
def read(path: Path) -> File:
    """The laws of a file of tests."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    laws = [
        Law(sentence(node.name), any("slow" in ast.unparse(mark) for mark in node.decorator_list)) for node in found
    ]
    about = " ".join((ast.get_docstring(tree) or path.stem).split("\n\n")[0].split())
    return File(about, laws)


@functools.cache
def words(path: Path) -> frozenset[str]:
    """The names and the quoted words in a file, such as ``Eprop`` and ``"eprop:random"``."""
    return frozenset(re.findall(r"\"?[A-Za-z_][\w:]*\"?", path.read_text(encoding="utf-8")))


def sentence(name: str) -> str:
    """The sentence that is a test's name."""
    text = name.removeprefix("test_").replace("_", " ").replace("eprop", "e-prop")
    text = re.sub(r"[\w-]+", lambda word: NAMES.get(word[0], word[0]), text)
    return f"{text[0].upper()}{text[1:]}."


def files() -> list[Path]:
    """The laws, and the tests of whole runs."""
    return [*sorted((TESTS / "laws").glob("test_*.py")), *sorted(TESTS.glob("test_*.py"))]


def place(path: Path) -> str:
    """A file as it is named on a command line."""
    return f"`{path.relative_to(TESTS.parent).as_posix()}`"


def rules_table() -> str:
    """A row for each rule: its oracle, and the laws that name the rule."""
    rows = ["| rule | oracle | the oracle is | laws that name the rule |", "| --- | --- | --- | --- |"]
    for name in RULES:
        oracle = RULES.about(name)["oracle"]
        told = rules_page.flat(inspect.cleandoc(ORACLES[oracle].__doc__ or "").split("\n\n")[0])
        modes = RULES.about(name).get("modes", ())
        called = {RULES[name].__name__, f'"{name}"', *(f'"{name}:{mode}"' for mode in modes)}
        naming = [path.stem for path in files() if path.parent.name == "laws" and called & words(path)]
        rows.append(f"| [`{name}`](rules.md#{name}) | {oracle} | {told} | {', '.join(map(linked, naming))} |")
    return "\n".join(rows)


def linked(stem: str) -> str:
    """The title of a file of laws, as a link to its section."""
    return f"[{title(stem).lower()}](#{title(stem).lower().replace(' ', '-')})"


def title(stem: str) -> str:
    """The title of the section of a file."""
    return stem.removeprefix("test_").replace("_", " ").capitalize()


def registries_table() -> str:
    """A row for each registry: its entries, and the files that run over them."""
    rows = ["| kind | entries | files that read the registry |", "| --- | --- | --- |"]
    for kind, registry in catalogue.REGISTRIES.items():
        constant = next(name for name, value in vars(catalogue).items() if value is registry)
        over = [place(path) for path in (*files(), *sorted((TESTS / "unit").glob("*.py"))) if constant in words(path)]
        entries = ", ".join(f"`{name}`" for name in registry)
        rows.append(f"| {kind} | {entries} | {', '.join(over)} |")
    return "\n".join(rows)


def laws() -> str:
    """The sentences of each file of laws."""
    parts = []
    for path in files():
        about, found = read(path)
        told = "\n".join(f"- {law.sentence}{' *(long)*' if law.long else ''}" for law in found)
        parts += [f"### {title(path.stem)}\n\n{about} {place(path)}\n\n{told}"] if told else []
    return "\n\n".join(parts)


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION.rstrip(), RULES_ARE, rules_table(), REGISTRIES_ARE, registries_table(), LAWS_ARE, laws()]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    print(page())
