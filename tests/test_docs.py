"""Whatever README and docs show is run here: the Python blocks of each page, one after the other."""

from __future__ import annotations

import doctest
import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import pytest
import typer
from typer.testing import CliRunner

import catalogue
import rules_page
from neko.cli import app
from neko.encoders import ENCODERS
from neko.rules import RULES

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
REPORTS = ROOT / "docs" / "experiments"
SOURCE = ROOT / "src"
EXAMPLES = sorted(
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
    for path in SOURCE.rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


LONG = ("analog.md", "bayesian.md", "encoders.md", "recipes.md", "reinforcement.md", "running.md")
"""Pages whose blocks train for a while; left to `make proofs`."""


@pytest.mark.parametrize(
    "page", [pytest.param(p, marks=[pytest.mark.slow] * (p.name in LONG), id=p.name) for p in PAGES]
)
def test_every_python_block_runs(page, tmp_path, monkeypatch):
    mpl.use("agg")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    assert blocks or page.name in ("results.md", "rules.md", "speed.md") or page.parent == REPORTS
    namespace: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(page), "exec"), namespace)


def commands():
    """Every line ``neko …`` of the pages' shell blocks, with its page."""
    for page in PAGES:
        for block in re.findall(r"^```(?:bash|sh)\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.S | re.M):
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


SMALLER = re.compile(r"(--(?:epochs|warmup|pretrain|hidden)) (\d+)0\b")
"""Numbers of a command line, which are divided by ten here so that the tests stay quick; nothing else is changed."""


def readme_commands():
    """The lines ``neko …`` of the README, in order."""
    blocks = re.findall(r"^```bash\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.S | re.M)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("neko ")]
    assert len(lines) > 5
    return [SMALLER.sub(r"\1 \2", line) for line in lines]


@pytest.mark.slow
def test_the_command_lines_of_the_readme_run_in_order(tmp_path, monkeypatch):
    """One after the other in a new folder, as somebody does who reads it."""
    monkeypatch.chdir(tmp_path)
    for line in readme_commands():
        if " reproduce " in line:  # `test_experiments` runs them, and `make proofs` this line
            continue
        for part in line.split("#")[0].split("&&"):
            result = CliRunner().invoke(app, shlex.split(part)[1:])
            assert result.exit_code == 0, f"{part}\n{result.output}"
    for file in ("one/config.yaml", "*/figures/posterior.png", "*/figures/comparison.png", "*/comparison.csv"):
        (found,) = (tmp_path / "runs").glob(file)
        assert found.stat().st_size > 100


@pytest.mark.slow
def test_the_command_lines_of_the_readme_run_in_a_shell(tmp_path):
    """The same with `&&`, and each in a process of its own."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "neko"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m neko "$@"\n')
    program.chmod(0o755)
    (tmp_path / "new").mkdir()
    result = subprocess.run(
        ["sh", "-e", "-c", "\n".join(readme_commands())],
        cwd=tmp_path / "new",
        env={**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    assert "After 2 of 2 epochs" in result.stdout


def test_the_table_of_the_readme_is_what_the_registries_have():
    assert catalogue.rendered(page := catalogue.README.read_text(encoding="utf-8")) == page
    assert sum(line.startswith("| rule |") for line in page.splitlines()) >= 3


def test_the_page_of_rules_is_what_the_docstrings_say():
    assert rules_page.PAGE.read_text(encoding="utf-8") == rules_page.page()


@pytest.mark.parametrize("name", sorted(RULES))
def test_every_rule_tells_its_formula_locality_cost_limits_and_source(name):
    found = rules_page.entry(RULES[name])
    assert "O(" in found.notes["Cost"]
    assert re.search(r"\(\d{4}\)", found.references), "a year"
    assert rules_page.linked(found.references).strip("[")[0].isupper(), "a name"


def test_a_rule_without_a_part_of_its_docstring_is_named():
    class Hebb:
        """Cells that fire together wire together.

        .. math::
            ΔW = pre ⊗ post

        Notes
        -----
        **Locality.** Local.

        **Cost.** O(n n_pre) time.
        """

    with pytest.raises(ValueError, match="Hebb: the docstring lacks Limits, References"):
        rules_page.entry(Hebb)


def test_the_page_of_encoders_has_every_code_with_its_source():
    page = (ROOT / "docs" / "encoders.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", page, flags=re.M)
    assert len(rows) == len(ENCODERS)
    assert dict(rows) == {name: ENCODERS.about(name)["source"] for name in ENCODERS}


def test_every_linked_file_exists():
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links {target}"


@pytest.mark.parametrize("module", EXAMPLES)
def test_examples_in_docstrings_run(module):
    found = doctest.testmod(importlib.import_module(module))
    assert found.attempted > 0
    assert found.failed == 0
