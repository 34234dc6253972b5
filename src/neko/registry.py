"""Registries: the cells, rules, updates, devices, samplers, losses, metrics, data sets and encoders by name."""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Registered = TypeVar("Registered")


class Registry(Mapping[str, T], Generic[T]):
    """The entries of one kind by name; each is registered by a decorator where it is defined.

    A new entry is one new file of the package with one decorator. The package is imported at the first look-up.

    Parameters
    ----------
    kind : str
        What errors call an entry, for example ``'rule'``.
    package : str
        The package or module whose files register entries.
    required : tuple of str
        Keywords that every entry must give, such as the oracle that a rule is verified against.
    made : type, optional
        Class of the entries, ``made(name, registered, **about)``; by default an entry is the registered object itself.
    other : str
        What is accepted besides names, for error messages.

    Examples
    --------
    >>> SHAPES = Registry("shape", "neko.registry")
    >>> @SHAPES.register("disc", corners=0)
    ... class Disc: ...
    >>> SHAPES.get("disc") is Disc, SHAPES.about("disc")["corners"]
    (True, 0)
    >>> SHAPES.get("disk")
    Traceback (most recent call last):
    ValueError: shape 'disk': expected one of ['disc']; did you mean 'disc'?
    """

    def __init__(
        self, kind: str, package: str, required: tuple[str, ...] = (), *, made: Any = None, other: str = ""
    ) -> None:
        self.kind = kind
        self.package = package
        self.required = required
        self.made = made
        self.other = other
        self._entries: dict[str, T] = {}
        self._about: dict[str, dict[str, Any]] = {}
        self._aliases: dict[str, str] = {}
        self._read = False

    def register(self, name: str, *, aliases: tuple[str, ...] = (), **about: Any) -> Callable[[Registered], Registered]:
        """A decorator that registers a class or function under a name, with properties `about` it.

        An alias is found like a name but not listed as an entry.

        Raises
        ------
        ValueError
            For a name that is taken, or an entry that lacks a required keyword.
        """
        missing = [word for word in self.required if not about.get(word)]
        if missing:
            raise ValueError(f"{self.kind} {name!r}: expected {', '.join(f'{word}=…' for word in missing)}")
        for word in (name, *aliases):
            if word in self._entries or word in self._aliases:
                raise ValueError(f"{self.kind} {word!r} is registered already: expected another name")

        def decorate(registered: Registered) -> Registered:
            self._entries[name] = self._entry(name, registered, **about)
            self._about[name] = {"summary": (registered.__doc__ or "").strip().partition("\n")[0], **about}
            self._aliases.update(dict.fromkeys(aliases, name))
            return registered

        return decorate

    def get(self, name: Any, default: Any = None) -> Any:
        """The entry of a name, or the object that ``file.py:Name`` or ``module:Name`` refers to.

        Raises
        ------
        ValueError
            For an unknown name; the message lists the known names and the nearest one.
        ImportError, FileNotFoundError
            For a file or module that cannot be read.
        """
        if isinstance(name, str):
            entries = self._all()
            name = self._aliases.get(name, name)
            if name in entries:
                return entries[name]
            if is_place(name):
                return load(name)
        raise ValueError(f"{self.kind} {name!r}: {self.expected(name)}")

    def resolve(self, thing: Any) -> T:
        """The entry of a name, an entry unchanged, or an entry made of a user's class or function under its own name.

        Raises
        ------
        ValueError, ImportError, FileNotFoundError
            As `get`.
        TypeError
            For anything that is neither a name, an entry nor callable.
        """
        found = self.get(thing) if isinstance(thing, str) else thing
        if self.made is not None and isinstance(found, self.made):
            return found
        if not callable(found):
            raise TypeError(f"{self.kind} {thing!r}: {self.expected(thing)}")
        return self._entry(getattr(found, "__name__", type(found).__name__), found)

    def make(self, text: str, **defaults: Any) -> Any:
        """What the entry of ``name`` or ``name(option=value, …)`` returns when it is called with these options.

        Options that are not in the text are taken from `defaults`. ValueError and TypeError as `get` and `called`, and
        those of the entry.
        """
        name, options = called(text)
        return self.get(name)(**{**defaults, **options})

    def _entry(self, name: str, registered: Any, **about: Any) -> Any:
        return registered if self.made is None else self.made(name, registered, **about)

    def expected(self, name: Any) -> str:
        """The part of an error message that lists the known names and the one nearest to `name`."""
        names = sorted([*self, *self._aliases])
        near = difflib.get_close_matches(str(name), names, 1)
        other = f" or {self.other}" if self.other else ""
        return f"expected one of {names}{other}" + (f"; did you mean {near[0]!r}?" if near else "")

    def about(self, name: str) -> dict[str, Any]:
        """The properties of an entry: ``summary``, and the keywords it was registered with."""
        self.get(name)
        return self._about[self._aliases.get(name, name)]

    def summary(self, name: str) -> str:
        """The first line of an entry's docstring."""
        return str(self.about(name)["summary"])

    def __getitem__(self, name: str) -> T:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._all()))

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> dict[str, T]:
        """The entries, after every file of the package was imported."""
        if not self._read:
            self._read = True  # the files that register entries look others up
            try:
                package = importlib.import_module(self.package)
                for module in pkgutil.walk_packages(getattr(package, "__path__", ()), f"{self.package}."):
                    importlib.import_module(module.name)
            except BaseException:
                self._read = False
                raise
        return self._entries


def called(text: str, **makers: Callable[..., Any]) -> tuple[str, dict[str, Any]]:
    """Name and options of ``name`` or ``name(option=value, …)``, where values are Python literals, or calls of `makers`
    with literals.

    >>> called("step_forward(threshold=0.1)")
    ('step_forward', {'threshold': 0.1})
    >>> called("alif(tau_m=twice(10.0))", twice=lambda tau: 2 * tau)
    ('alif', {'tau_m': 20.0})
    """
    begin = text.find("(", text.find(".py:") + 1)  # the path of a file may have brackets too
    if begin < 0 or not text.endswith(")"):
        return text, {}
    try:
        call = ast.parse(f"f{text[begin:]}", mode="eval").body
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)) or call.args:
            raise ValueError("more than a name with options")
        if any(option.arg is None for option in call.keywords):
            raise ValueError("options without names")
        options = {str(option.arg): value_of(option.value, makers) for option in call.keywords}
    except (SyntaxError, ValueError) as error:
        raise ValueError(
            f"{text!r}: expected name(option=value, …) with plain values, such as 'lif(tau_m=20.0)'"
        ) from error
    return text[:begin], {name: value() for name, value in options.items()}


def separated(text: str) -> list[str]:
    """The parts of a text between commas outside of brackets, without blanks around them and without empty ones.

    >>> separated("bptt, snap(level=2, stepwise=True)")
    ['bptt', 'snap(level=2, stepwise=True)']
    """
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def value_of(node: ast.expr, makers: dict[str, Callable[..., Any]]) -> Callable[[], Any]:
    """The function that makes a value: a literal, or a call of one of `makers`; ValueError for anything else."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in makers:
        given = [ast.literal_eval(value) for value in node.args]
        return partial(makers[node.func.id], *given, **{str(k.arg): ast.literal_eval(k.value) for k in node.keywords})
    literal = ast.literal_eval(node)
    return lambda: literal


def is_place(name: str) -> bool:
    """Whether a name has the form ``file.py:Name`` or ``package.module:Name``."""
    place, _, attribute = name.rpartition(":")
    return bool(attribute) and (place.endswith(".py") or importable(place))


def importable(module: str) -> bool:
    """Whether a module of that name can be found, also in the current folder."""
    if not all(part.isidentifier() for part in module.split(".")):
        return False
    if Path(*module.split(".")).with_suffix(".py").is_file():
        return True
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def load(target: str) -> Any:
    """The object that ``module:name`` or ``file.py:name`` refers to.

    ValueError, listing the names of the module, if it has no such name; ImportError or FileNotFoundError if it cannot
    be imported.
    """
    place, _, name = target.rpartition(":")
    if not place or not name:
        raise ValueError(f"{target!r}: expected module:Name or file.py:Name")
    module = from_file(Path(place)) if place.endswith(".py") else from_name(place)
    if not hasattr(module, name):
        own = [key for key, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
        raise ValueError(f"{place} has no {name!r}: expected one of {sorted(own)!r}")
    return getattr(module, name)


def from_name(name: str) -> Any:
    """The imported module, also from the current folder."""
    sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except Exception as error:  # a user's code may raise anything
        raise ImportError(f"module {name!r} cannot be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)


def from_file(path: Path) -> Any:
    """The module of a file, imported under a name that no other module can have."""
    if not path.is_file():
        raise FileNotFoundError(f"no file {str(path)!r}: expected path/to/file.py:Name")
    spec = importlib.util.spec_from_file_location(f"file {path.resolve()}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # dataclasses look up their own module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # a user's code may raise anything
        raise ImportError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    return module
