"""The documentation site: nothing public is missing in its reference, every page has a place, and it works without a
server. What needs the built site is slow, and skipped where `make docs` has not installed its packages."""

from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
import sys
import tomllib
import urllib.parse
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

import api_pages
import catalogue
import commands_page
import neko
import notebooks
import proofs_page
from neko.rules import RULES
from neko.verification import ORACLES

import browser

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
MADE = {"index.md", "contributing.md", "changelog.md", "proofs.md", "commands.md"}
MADE |= {f"examples/{path.stem}.md" for path in (ROOT / "examples").glob("*.py")}
MADE |= {f"notebooks/{path.stem}.md" for path in notebooks.NOTEBOOKS}
"""Pages that are no files of ``docs``, besides those of the reference."""


def described(module, name, page):
    """Whether a page has the place that a link to a public name finds."""
    return f'<a id="{module}.{name}"></a>' in page or f"::: {module}.{name}\n" in page


def test_the_reference_lacks_no_public_name():
    pages = api_pages.pages()
    source = Path(neko.__file__).parent
    packages = [path for path in source.rglob("*.py") if re.search(r"^__all__\b", path.read_text(), flags=re.M)]
    modules = {".".join(("neko", *path.relative_to(source).with_suffix("").parts)) for path in packages}
    modules = {name.removesuffix(".__init__") for name in modules} - {"neko.cli"} | {"neko"}
    assert len(modules) > 25
    for module in sorted(modules):
        listed = set(importlib.import_module(module).__all__) - {"__version__"}
        assert listed, module
        assert [name for name in sorted(listed) if not described(module, name, pages[f"{module}.md"])] == [], module
    assert described("neko", "Eprop", pages["neko.md"])
    assert described("neko.cells", "ALIF", pages["neko.cells.md"])
    assert not described("neko", "Epropp", pages["neko.md"])


def test_every_entry_of_the_reference_is_defined_where_it_says():
    found = re.findall(r"^::: (\S+)$", "\n".join(api_pages.pages().values()), flags=re.M)
    assert len(found) > 300
    assert len(found) == len(set(found)), "described once"
    for place in found:
        module, _, name = place.rpartition(".")
        assert api_pages.source(place) or api_pages.bindings(api_pages.source(module))[name] == place, place


def test_every_registered_part_is_in_the_reference():
    pages = "\n".join(api_pages.pages().values())
    for kind, registry in catalogue.REGISTRIES.items():
        for name in registry:
            made = registry[name]
            assert f"::: {made.__module__}.{made.__qualname__}\n" in pages, (kind, name)


def test_what_the_pages_import_is_in_the_reference():
    known, found = api_pages.links(), set()
    for page in PAGES:
        for block in re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.S | re.M):
            for node in ast.walk(ast.parse(block)):
                if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "neko":
                    found |= {f"{node.module}.{alias.name}" for alias in node.names}
    doors = {f"neko.{name}" for name in neko._MODULES}
    assert len(found) > 40
    assert found - set(known) - doors == set()


def places(entries):
    """The pages of a navigation."""
    for entry in entries:
        value = next(iter(entry.values())) if isinstance(entry, dict) else entry
        yield from places(value) if isinstance(value, list) else [value]


def test_every_page_has_one_place_in_the_navigation():
    navigation = list(places(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]))
    files = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert len(navigation) == len(set(navigation))
    assert set(navigation) == files | MADE | {"api"}


def test_the_page_of_proofs_has_every_rule_entry_and_law():
    page = proofs_page.page()
    for name in RULES:
        assert re.search(rf"^\| \[`{name}`\]\(rules.md#{name}\) \| {RULES.about(name)['oracle']} \|", page, flags=re.M)
    assert set(ORACLES) == {RULES.about(name)["oracle"] for name in RULES}
    for kind, registry in catalogue.REGISTRIES.items():
        (row,) = re.findall(rf"^\| {kind} \| (.*) \| (.+) \|$", page.partition("## Every entry")[2], flags=re.M)
        assert set(re.findall(r"`(\w+)`", row[0])) == set(registry)
        assert "`tests/" in row[1], f"no test reads the registry of {kind}"
    assert "- Every rule is what its oracle says." in page
    assert len(re.findall(r"^- [A-Z0-9].*\.(?: \*\(long\)\*)?$", page, flags=re.M)) > 300


def test_the_page_of_commands_has_every_option():
    page = commands_page.page()
    assert "## neko device fit" in page
    assert re.search(r"^\| `--rule` \| `eprop` \| .*eprop:random", page, flags=re.M)
    assert "{neko." not in page


def test_the_packages_of_the_site_are_pinned_apart_from_those_of_the_tests():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    wanted = {re.split("[<>=]", requirement)[0] for requirement in extras["docs"]}
    pinned, locked = (
        {
            line.partition("==")[0].lower()
            for line in (ROOT / name).read_text(encoding="utf-8").splitlines()
            if "==" in line
        }
        for name in ("docs/requirements.txt", "requirements.lock")
    )
    assert {"mkdocs-material", "mkdocstrings-python"} <= wanted <= pinned
    assert not wanted & locked


@pytest.mark.parametrize("path", notebooks.NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_executed_small_and_tells_nothing_of_a_machine(path):
    text = path.read_text(encoding="utf-8")
    assert len(text) < 200_000
    assert not re.search(r"/(?:home|root|tmp|work|Users)/", text)
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 1
    assert not any(output.get("name") == "stderr" or output["output_type"] == "error" for output in outputs)
    assert sum("assert " in "".join(cell["source"]) for cell in cells) >= 2


def test_docstrings_become_markdown():
    pytest.importorskip("griffe")
    docstrings = hook("docstrings")
    text = "Noise, :math:`x_t`.\n\n.. math::\n    a \\quad\n    b\n\n.. math:: c\n\n"
    text += "See `neko.Trainer`, ``x``; t\\ :sub:`m`."
    found = docstrings.markdown(text, {"neko.Trainer": "neko.training.trainer.Trainer"})
    assert "Noise, $x_t$." in found
    assert "```math\na \\quad b\n```" in found
    assert "```math\nc\n```" in found
    assert "See [`neko.Trainer`][neko.training.trainer.Trainer], ``x``;" in found
    assert "<sub>m</sub>" in found


def hook(name):
    """A module of the site's hooks."""
    spec = importlib.util.spec_from_file_location(f"hooks_{name}", DOCS / "hooks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Html(HTMLParser):
    """The places of a page and the addresses in it."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.addresses = set(), []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        own = dict(attrs)
        self.ids |= {own[name] for name in ("id", "name") if own.get(name)}
        self.addresses += [own[name] for name in ("href", "src") if own.get(name)]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site as `make docs` builds it."""
    pytest.importorskip("mkdocs")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return folder


@pytest.mark.slow
def test_every_link_inside_holds(site):
    pages = {path: Html(path) for path in site.rglob("*.html")}
    assert len(pages) > 80
    checked = 0
    for path, page in pages.items():
        if path.name == "404.html":  # a server's page, whose addresses begin at the server's root
            continue
        for address in page.addresses:
            found = urllib.parse.urlsplit(address)
            if found.scheme or found.netloc:
                assert found.scheme in ("http", "https", "mailto", "data"), (path, address)
                continue
            target = (path.parent / urllib.parse.unquote(found.path)).resolve() if found.path else path
            assert target.is_file(), f"{path.relative_to(site)} links {address}"
            if found.fragment and target in pages:
                fragment = urllib.parse.unquote(found.fragment)
                assert fragment in pages[target].ids, f"{path.relative_to(site)} links {address}"
            checked += 1
    assert checked > 5000


@pytest.mark.slow
def test_every_public_name_has_its_place_on_the_built_pages(site):
    ids = {path.stem: Html(path).ids for path in (site / "api").glob("*.html")}
    assert len(ids) == len(api_pages.modules())
    for name, place in api_pages.links().items():
        page, _, fragment = place.partition("#")
        assert not fragment or fragment in ids[Path(page).stem], name


@pytest.mark.slow
def test_no_formula_is_left_as_it_was_written(site):
    formulas = 0
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        formulas += text.count("<math ")
        assert 'class="arithmatex"' not in text, path
        assert ":math:" not in text, path
        assert ".. math::" not in text or path.parent.name == "examples", path  # which show a file as it is
    assert formulas > 200


@pytest.mark.slow
def test_every_page_opens_from_the_file_system_without_a_complaint(site):
    with browser.chromium() as driver:
        opened = 0
        for path in sorted(site.rglob("*.html")):
            if path.name == "404.html":
                continue
            driver.get(path.as_uri())
            assert driver.title, path
            asked = [url for url in browser.requests(driver) if not url.startswith(("file:", "data:", "blob:"))]
            assert asked == [], path
            assert browser.complaints(driver) == [], path
            opened += 1
        assert opened > 80
        driver.execute_script("setTimeout(() => { throw Error('a fault'); }, 0)")
        assert browser.until(driver, lambda: "a fault" in " ".join(browser.complaints(driver)))


@pytest.mark.slow
def test_the_search_finds_and_the_page_turns_dark_without_a_server(site):
    with browser.chromium() as driver:
        driver.get((site / "index.html").as_uri())
        scheme = "return document.body.getAttribute('data-md-color-scheme')"
        assert driver.execute_script(scheme) == "default"
        driver.execute_script("document.querySelector('[data-md-component=palette] label:not([hidden])').click()")
        assert browser.until(driver, lambda: driver.execute_script(scheme) == "slate")
        driver.execute_script("document.querySelector('label[for=__search]').click()")
        driver.find_element("css selector", "input.md-search__input").send_keys("eprop")

        def results():
            found = driver.find_elements("css selector", "a.md-search-result__link")
            return [link.get_attribute("href") for link in found]

        found = browser.until(driver, results)
        assert any("rules.html" in link for link in found)
        driver.get(found[0])
        assert "e-prop" in driver.find_element("tag name", "body").text.lower().replace("eprop", "e-prop")
        assert browser.complaints(driver) == []


@pytest.mark.slow
@pytest.mark.parametrize("path", notebooks.NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_its_claims_hold(path):
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    found = notebooks.executed(path)
    kept = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert [cell.source for cell in found.cells] == ["".join(cell["source"]) for cell in kept]
    assert [len(cell.get("outputs", ())) for cell in found.cells] == [len(cell.get("outputs", ())) for cell in kept]
