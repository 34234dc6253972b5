"""Pages of the API reference: one for each public module, with an entry for each of its public names.

``make docs`` makes them; ``tests/unit/test_site.py`` checks that no public name is missing. Places are found in the
source, so that no framework is imported.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path

import neko
from neko import cells, rules
from neko.registry import Registry

ROOT = Path(neko.__file__).parent
TAUGHT = ("neko.cells.constants", "neko.cells.surrogates", "neko.datasets.events", "neko.objective", "neko.tree")
"""Modules that the pages teach besides the packages that list their names in ``__all__``."""
WAYS = ("load", "function", "measure")
"""Fields of entries of a registry that hold what was registered."""
APART = ("neko", "neko.cli", "neko.training")
"""The root, which is last; the command line, which has a page of its own; and a package without names of its own."""


def source(module: str) -> Path | None:
    """The file of a module; None if there is no such module."""
    path = ROOT.joinpath(*module.split(".")[1:])
    return next((file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()), None)


@functools.cache
def bindings(file: Path) -> dict[str, str]:
    """Names that a file binds, each with its place: where it is defined, or what it is imported from."""

    def found() -> Iterator[tuple[str, str]]:
        own = ".".join(("neko", *file.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            match node:
                case ast.ImportFrom(module=str(of)):
                    yield from ((alias.asname or alias.name, f"{of}.{alias.name}") for alias in node.names)
                case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                    yield name, f"{own}.{name}"
                case ast.Assign(targets=[ast.Tuple(elts=elements)]):
                    yield from ((element.id, f"{own}.{element.id}") for element in elements)
                case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                    yield name, f"{own}.{name}"

    return dict(found())


@functools.cache
def modules() -> tuple[str, ...]:
    """The public modules, those nearer to the root first, the root itself last."""
    packages = (file for file in ROOT.rglob("__init__.py") if "__all__" in bindings(file))
    listing = {".".join(("neko", *file.parent.relative_to(ROOT).parts)) for file in packages}
    doors = {f"neko.{door}" for door in neko._MODULES.values()}
    found = {*listing, *doors, *TAUGHT}.difference(APART)
    return (*sorted(found, key=lambda name: (name.count("."), name)), "neko")


def names(module: str) -> list[str]:
    """The public names of a module: those that it lists, otherwise those that it defines; and its rules or cells."""
    own = [name for name, place in bindings(source(module)).items() if place == f"{module}.{name}"]
    listed = getattr(importlib.import_module(module), "__all__", [name for name in own if not name.startswith("_")])
    lazy = {
        "neko.cells": list(cells.classes()),
        "neko.rules": ["ThreeFactor", *(rule.__name__ for rule in rules.RULES.values())],
    }
    return [name for name in (*listed, *lazy.get(module, ())) if name != "__version__"]


def place(module: str, name: str) -> str:
    """Where the source defines a public name, such as ``neko.devices.constant.ConstantStep``."""
    bound = bindings(source(module)).get(name)
    if bound is None:
        return lazy(module, name)
    if bound == f"{module}.{name}" or source(bound):
        return bound
    return place(*bound.rsplit(".", 1))


def lazy(module: str, name: str) -> str:
    """The place of a name that a module looks up when it is asked for it."""
    if module == "neko.backend":
        return "neko.backend.get"
    if module == "neko.runs":
        return place("neko.runs.folder", name)  # a name of it is defined elsewhere too
    if module == "neko" and name in neko._PUBLIC:
        return place(f"neko.{neko._PUBLIC[name]}", name)
    made = {**cells.classes(), **{rule.__name__: rule for rule in rules.RULES.values()}}
    if module in ("neko", "neko.cells", "neko.rules") and name in made:
        return f"{made[name].__module__}.{made[name].__qualname__}"
    found = {bindings(file).get(name, "") for file in source(module).parent.rglob("*.py")}
    (only,) = (of for of in found if of and of == bindings(source(of.rpartition(".")[0])).get(name))
    return only


@functools.cache
def entries() -> dict[str, dict[str, str]]:
    """The public names of each module, each with the place where it is defined."""
    return {module: {name: place(module, name) for name in names(module)} for module in modules()}


@functools.cache
def homes() -> dict[str, str]:
    """The module whose page describes a place: the first that has it."""
    found: dict[str, str] = {}
    for module, own in entries().items():
        for of in own.values():
            found.setdefault(of, module)
        for of in registered(module):
            found.setdefault(of, module)
    return found


def registered(module: str) -> dict[str, tuple[str, str]]:
    """The entries of the registries of a module, which are called by name: the place, the registry and the name."""
    found = {}
    for listed in names(module):
        registry = vars(importlib.import_module(module)).get(listed)
        for name in registry if isinstance(registry, Registry) else ():
            made = registry[name]
            if not hasattr(made, "__qualname__"):
                made = next(getattr(made, way) for way in WAYS if hasattr(made, way))
            of = f"{made.__module__}.{made.__qualname__}"
            if "<locals>" not in of and bindings(source(made.__module__)).get(made.__name__) == of:
                found[of] = (listed, name)
    return found


def page(module: str) -> str:
    """The page of a module in Markdown, with blocks of mkdocstrings."""
    head = inspect.cleandoc(importlib.import_module(module).__doc__ or "")
    door = next((name for name, to in neko._MODULES.items() if module == f"neko.{to}" and name != to), None)
    parts = [f"# {module}", head.replace("``", "`")]
    parts += [f"Also `neko.{door}`."] if door else []
    own = entries()[module]
    here = {of: name for name, of in reversed(own.items()) if homes()[of] == module}  # the first name of a place
    elsewhere = {name: of for name, of in own.items() if here.get(of) != name}
    if elsewhere:
        rows = (row(module, *entry) for entry in elsewhere.items())
        parts += ["| name | described as | what it is |\n| --- | --- | --- |\n" + "\n".join(rows)]
    for name, of in own.items():
        if here.get(of) == name:
            parts += [] if of == f"{module}.{name}" and not constant(module, name) else [anchor(f"{module}.{name}")]
            parts += [constant(module, name) or block(of, name)]
    for of, (registry, name) in registered(module).items():
        if homes()[of] == module and of not in here:
            parts += [block(of, f"{name}", f"{registry}: ")]
    return "\n\n".join(parts) + "\n"


def row(module: str, name: str, of: str) -> str:
    """A row for a name that the page of another module describes."""
    home = homes()[of]
    is_backend = module == "neko.backend"  # which would load its framework
    thing = None if is_backend else getattr(importlib.import_module(module), name)
    told = "The backend with its defaults." if is_backend else (inspect.getdoc(thing) or "").partition("\n")[0]
    if module == "neko" and name in cells.classes():
        told = "A network, `neko.models.Model`, of such neurons."
    if module == "neko" and any(name == rule.__name__ for rule in rules.RULES.values()):
        told = "The gradient rule with an update: a `LearningRule`."
    shown = next(own for own, place in entries()[home].items() if place == of)
    told = told.replace("``", "`").replace("|", "\\|")
    return f"| {anchor(f'{module}.{name}')}`{name}` | [`{home}.{shown}`][{of}] | {told} |"


def anchor(name: str) -> str:
    """A place on the page that a link to the name finds."""
    return f'<a id="{name}"></a>'


def constant(module: str, name: str) -> str | None:
    """The entry of a text."""
    value = getattr(importlib.import_module(module), name) if name.isupper() else None
    return f"## `{name}`\n\n`{value!r}`" if isinstance(value, str) else None


def block(of: str, name: str, prefix: str = "") -> str:
    """The entry of an object, rendered from its docstring."""
    return f'::: {of}\n    options:\n      heading: "{prefix}{name}"\n      toc_label: "{name}"'


def links() -> dict[str, str]:
    """Where public modules and names are described: the page, and the place on it."""
    found = {module: f"api/{module}.md" for module in modules()}
    for module, own in entries().items():
        for name, of in own.items():
            found[f"{module}.{name}"] = f"api/{homes()[of]}.md#{f'{module}.{name}' if constant(module, name) else of}"
    return found


def pages() -> dict[str, str]:
    """All pages by the name of their file."""
    return {f"{module}.md": page(module) for module in modules()}
