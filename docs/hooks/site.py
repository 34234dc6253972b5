"""What the site has besides the files of ``docs``: README and contributing, examples, the API reference, proofs,
notebooks, the table of rules to sort and filter, and formulas as MathML, which a browser draws without a script or a
font from elsewhere."""

from __future__ import annotations

import html
import posixpath
import re
import sys
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from nbconvert import MarkdownExporter

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

import api_pages  # noqa: E402
import commands_page  # noqa: E402
import proofs_page  # noqa: E402
import rule_table_page  # noqa: E402

ABOVE = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Pages of the root of the repository, with their names in the site."""
RULES = "rules-table.html"
"""The table of rules to sort and filter, which is in the site only."""
LINKS = api_pages.links()
FORMULA = re.compile(
    r'<span class="arithmatex">\\\((?P<inline>.*?)\\\)</span>|<div class="arithmatex">\\\[(?P<block>.*?)\\\]</div>'
    r'|<pre class="math"><code>(?P<fence>.*?)</code></pre>',
    flags=re.S,
)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The pages of the API reference take the place of its entry in the navigation."""
    for section in config.nav or []:
        for entry in next(iter(section.values())) if isinstance(section, dict) else ():
            if isinstance(entry, dict) and entry.get("API reference") == "api":
                entry["API reference"] = [f"api/{module}.md" for module in sorted(api_pages.modules())]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are made here."""
    made: dict[str, str | bytes]
    made = {name: (ROOT / above).read_text(encoding="utf-8") for above, name in ABOVE.items()}
    made |= {f"api/{name}": text for name, text in api_pages.pages().items()}
    made |= {f"examples/{path.stem}.md": example(path) for path in sorted((ROOT / "examples").glob("*.py"))}
    made |= {"proofs.md": proofs_page.page(), "commands.md": commands_page.page()}
    made[f"experiments/{RULES}"] = rule_table_page.page()
    for path in sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")):
        files.remove(files.get_file_from_path(f"notebooks/{path.name}"))
        made |= notebook(path)
    for name, content in made.items():
        files.append(File.generated(config, name, content=content))
    return files


def notebook(path: Path) -> dict[str, str | bytes]:
    """A page with the cells of a notebook and their outputs, and the files of its figures."""
    text, resources = MarkdownExporter().from_filename(str(path))
    text = re.sub(r"^%.*\n", "", text, flags=re.M)  # commands to the notebook itself
    figures = {}
    for name, content in resources["outputs"].items():
        figures[f"notebooks/{path.stem}-{name}"] = content
        text = text.replace(f"]({name})", f"]({path.stem}-{name})")
    source = f'The same as <a href="{path.name}" download>a notebook</a>.\n'
    return {f"notebooks/{path.stem}.md": f"{text}\n{source}", f"notebooks/{path.name}": path.read_bytes(), **figures}


def example(path: Path) -> str:
    """A page that shows a file."""
    return f"# {path.name}\n\n```python\n{path.read_text(encoding='utf-8')}```\n"


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links between files of the repository as links between pages; public names as links to the reference."""
    here = page.file.src_uri
    origin = next((above for above, name in ABOVE.items() if name == here), f"docs/{here}")

    def relinked(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(origin), found[1]))
        if not (ROOT / target).is_file():
            return found[0]
        return f"]({posixpath.relpath(in_site(target), posixpath.dirname(here) or '.')}"

    def named(found: re.Match[str]) -> str:
        place = LINKS.get(found[1])
        return f"[{found[0]}]({posixpath.relpath(place, posixpath.dirname(here) or '.')})" if place else found[0]

    if here.startswith("experiments/"):  # a report as it was written
        markdown = re.sub(r"^Settings: (.*)$", r'??? note "All settings"\n\n    \1', markdown, flags=re.M)
        markdown = markdown.replace(f"`{RULES}`", f"[{RULES}]({RULES})")
    parts = re.split(r"(^ *```.*?^ *```$)", markdown, flags=re.S | re.M)
    for i in range(0, len(parts), 2):
        parts[i] = re.sub(r"\]\((?!https?:)([^)#\s]+)", relinked, parts[i])
        parts[i] = re.sub(r"(?<!\[)`(neko\.[\w.]+)`(?!\])", named, parts[i])
    return "".join(parts)


def in_site(target: str) -> str:
    """The place in the site of a file of the repository."""
    if target.endswith((".py", ".ipynb")):
        target = target.rpartition(".")[0] + ".md"
    return ABOVE.get(target, target.removeprefix("docs/"))


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Formulas as MathML."""
    return FORMULA.sub(lambda found: mathml(found, page), html)


def mathml(found: re.Match[str], page: Page) -> str:
    """A formula as MathML; an error, with the formula, where the converter does not know a command."""
    text = html.unescape(next(text for text in found.groups() if text is not None))
    text = re.sub(r"\\arg(?![a-z])", r"\\operatorname{arg}", " ".join(text.split()))
    made = convert(text, display="inline" if found["inline"] else "block")
    if "\\" in made:
        raise PluginError(f"{page.file.src_uri}: a formula has an unknown command: {text}")
    return made
