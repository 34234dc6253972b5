"""What is packaged: the dependencies, the types, the source distribution, and what a package index shows."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
import tarfile
import tomllib
from importlib import resources
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "src" / "neko").rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MODULES = {"scikit-learn": "sklearn", "pyyaml": "yaml", "kaldi-native-fbank": "kaldi_native_fbank", "arviz": "arviz"}
"""Packages whose module has another name."""
WITH = {
    "torch": {"torch", "array_api_compat", "triton"},
    "jax": {"jax", "optax", "jaxlib"},
    "tensorflow": {"tensorflow", "keras"},
    "numba": {"numba", "llvmlite"},
}
"""What comes with a framework or compiler."""


def modules(requirements):
    """The modules of requirements, as they are imported."""
    names = {re.split(r"[\[<>=! ]", requirement)[0] for requirement in requirements} - {"neko-learning"}
    return {MODULES.get(name, name).replace("-", "_") for name in names}


def imports(tree):
    """Roots of what is imported below a node, `import a.b` and `from a.b import c` alike."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def at_once(tree):
    """The statements of a module that run when it is imported: no function's body."""
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node


OWN = {"neko"} | set(sys.stdlib_module_names)


def is_framework_code(path):
    return (
        path.name in ("torch_module.py", "torch_crossing.py", "keras_model.py", "onnx.py")
        or path.parent.name == "kernels"
        or (path.parent.name in ("backend", "distributed") and path.name.startswith("_"))
    )


def test_what_is_imported_at_once_is_a_dependency():
    """And nothing heavier: no SciPy, no scikit-learn, no framework."""
    core = modules(PROJECT["dependencies"])
    assert {"numpy", "rich", "typer"} <= core
    assert not core & {"scipy", "sklearn", "pandas", "torch", "jax", "tensorflow"}
    found = set()
    for path in SOURCES:
        if not is_framework_code(path) or path.name == "__init__.py":
            body = ast.parse(path.read_text(encoding="utf-8"))
            found |= {name for node in at_once(body) for name in imports(node)} - OWN
    assert found == core


def test_what_is_imported_when_it_is_needed_can_be_installed_by_an_extra():
    extras = set().union(*map(modules, PROJECT["optional-dependencies"].values()), *WITH.values())
    known = modules(PROJECT["dependencies"]) | extras | OWN
    found = set()
    for path in SOURCES:
        found |= set(imports(ast.parse(path.read_text(encoding="utf-8"))))
    assert found - known == set()
    assert {"scipy", "arviz", "torch"} <= found


def test_types_are_announced():
    assert resources.files("neko").joinpath("py.typed").is_file()


def test_the_source_distribution_has_what_its_tests_read(tmp_path):
    pytest.importorskip("hatchling")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (archive,) = tmp_path.iterdir()
    with tarfile.open(archive) as file:
        found = {name.partition("/")[2] for name in file.getnames()}
        (information,) = [name for name in file.getnames() if name.endswith("PKG-INFO")]
        described = file.extractfile(information).read().decode()
    expected = {"README.md", "CONTRIBUTING.md", "Makefile", "requirements.lock", "pyproject.toml", "hatch_build.py"}
    expected |= {"CHANGELOG.md", "mkdocs.yml"}
    for folder in ("src/neko", "tests", "docs", "examples", "benchmarks"):
        files = [path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        assert files, folder
        expected |= {path.relative_to(ROOT).as_posix() for path in files}
    assert expected - found == set()
    assert "](docs/" not in described
    assert "Project-URL: " in described


def test_a_package_index_gets_links_that_hold():
    pytest.importorskip("hatchling")
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    text = "![Spikes](docs/demo.png), [tutorial](docs/tutorial.md), [paper](https://a.b/c), [below](#below)"
    with_address = build.published(text, "https://github.com/some/one/")
    assert with_address == (
        "![Spikes](https://github.com/some/one/raw/HEAD/docs/demo.png), "
        "[tutorial](https://github.com/some/one/blob/HEAD/docs/tutorial.md), [paper](https://a.b/c), [below](#below)"
    )
    assert build.published(text, None) == "Spikes, tutorial, [paper](https://a.b/c), [below](#below)"
    readme = build.published((ROOT / "README.md").read_text(encoding="utf-8"), None)
    assert len(readme) > 1000
    assert not re.search(r"\]\((?!https?:|#)", readme)
