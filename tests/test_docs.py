"""Whatever README and docs show is run here: the Python blocks of each page, one after the other."""

from __future__ import annotations

import doctest
import importlib
import re
import shlex
from pathlib import Path

import matplotlib as mpl
import pytest
import typer

from neko.cli import app

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLES = [
    "neko.callbacks.checkpoints",
    "neko.cells.base",
    "neko.compare",
    "neko.evaluator",
    "neko.history",
    "neko.losses",
    "neko.models",
    "neko.rules.eprop",
    "neko.rules.langevin",
    "neko.updates.manhattan",
    "neko.verification",
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_python_block_runs(page, tmp_path, monkeypatch):
    mpl.use("agg")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), flags=re.S | re.M)
    assert blocks or page.name == "results.md"
    namespace: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(page), "exec"), namespace)


def commands():
    """Every line ``neko …`` of the pages' shell blocks, with its page."""
    for page in PAGES:
        for block in re.findall(r"^```(?:bash|sh)\n(.*?)^```", page.read_text(), flags=re.S | re.M):
            for line in block.splitlines():
                for part in line.split("#")[0].split("&&"):
                    if part.strip().startswith("neko "):
                        yield page.name, shlex.split(part)[1:]


def test_every_command_that_is_shown_is_one():
    """Its name, options and their values as the command line itself takes them apart."""
    shown = list(commands())
    assert len(shown) > 12
    for page, words in shown:
        found = typer.main.get_command(app)
        while hasattr(found, "commands"):
            assert words[0] in found.commands, (page, words)
            found, words = found.commands[words[0]], words[1:]
        found.make_context("neko", list(words))


def test_every_linked_file_exists():
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links {target}"


@pytest.mark.parametrize("module", EXAMPLES)
def test_examples_in_docstrings_run(module):
    found = doctest.testmod(importlib.import_module(module))
    assert found.attempted > 0
    assert found.failed == 0
