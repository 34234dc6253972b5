"""Whatever README and docs show is run here: the Python blocks of each page, one after the other."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import matplotlib as mpl
import pytest

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


def test_every_linked_file_exists():
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links {target}"


@pytest.mark.parametrize("module", EXAMPLES)
def test_examples_in_docstrings_run(module):
    found = doctest.testmod(importlib.import_module(module))
    assert found.attempted > 0
    assert found.failed == 0
