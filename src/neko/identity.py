"""What something is, by value: names, numbers and digests that are the same in every process."""

from __future__ import annotations

import dataclasses
import enum
import functools
import inspect
import json
import re
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Any

import numpy as np

from neko import arguments, code, fingerprint
from neko.errors import CheckpointError

TYPE = "type"
"""Key of a description that says what kind of thing it is of."""
LIBRARIES = {"neko", "numpy", "torch", "jax", "jaxlib", "optax", "keras", "tensorflow", "builtins"}
"""Packages whose code is known by its name; of other code the digest is taken."""
NOT_PART = ("self", "model", "jit", "starts")
"""Arguments of constructors that are told elsewhere, or that no number depends on. Where a chain began is behind it."""
LONGEST = 160
"""Characters of a value in a message."""
TOLD = 4
"""Differences that a message names."""


def describe(value: Any) -> Any:
    """A description of a value: dicts, lists, numbers, strings and None, by value through and through.

    It holds no address, no hash and no name that depends on the process, so that descriptions of equal things are
    equal wherever they were made. Arrays are told by their digest; functions by their name, what they close over,
    their defaults and (unless a library's) a digest of their code; objects by their type and attributes.
    """
    return Description().of(value)


class Description:
    """One description; things that occur in it twice are described once, and a cycle ends where it closes."""

    def __init__(self) -> None:
        self.known: dict[int, Any] = {}
        self.kept: list[Any] = []

    def of(self, value: Any) -> Any:
        """The description of a value."""
        if isinstance(value, enum.Enum):
            return f"{type(value).__name__}.{value.name}"
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, np.generic):
            return self.of(value.item())
        if id(value) in self.known:
            return self.known[id(value)]
        self.known[id(value)] = f"<{type(value).__name__}>"
        self.kept.append(value)  # so that no later thing gets its id
        self.known[id(value)] = found = self.of_thing(value)
        return found

    def of_thing(self, value: Any) -> Any:
        """The description of what is no number, string or None."""
        if isinstance(value, bytes | bytearray):
            return f"{len(value)} bytes, digest {fingerprint.digest(bytes(value))}"
        if isinstance(value, complex | range | slice | PurePath | np.dtype | re.Pattern):
            return repr(value)
        if isinstance(value, type):
            return self.of_class(value)
        if is_array(value):
            return self.of_array(value)
        if isinstance(value, Mapping):
            return {str(key): self.of(part) for key, part in value.items()}
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return {TYPE: self.of_class(type(value)), **self.named(value._asdict())}
        if isinstance(value, list | tuple):
            return self.of_sequence(value)
        if isinstance(value, set | frozenset):
            return sorted((self.of(part) for part in value), key=text)
        if isinstance(value, functools.partial):
            given = {"given": self.of(value.args)} if value.args else {}
            return {TYPE: "partial", "function": self.of(value.func), **given, **self.of(value.keywords)}
        if isinstance(value, types.MethodType):
            return {TYPE: value.__qualname__, "function": self.of(value.__func__), "of": self.of(value.__self__)}
        if isinstance(value, types.FunctionType):
            return self.of_function(value)
        if hasattr(value, "__wrapped__"):
            return {TYPE: type(value).__name__, "function": self.of(value.__wrapped__)}
        if isinstance(value, types.ModuleType | types.BuiltinFunctionType | np.ufunc):
            return value.__name__
        return self.of_object(value)

    def named(self, parts: Mapping[str, Any]) -> dict[str, Any]:
        """Descriptions by name, without the backend, whose name and precision are told once."""
        return {name: self.of(part) for name, part in parts.items() if name != "xp"}

    def of_array(self, value: Any) -> Any:
        try:
            return fingerprint.of_array(value)
        except TypeError:
            return type(value).__name__

    def of_sequence(self, value: Any) -> Any:
        numbers = len(value) > fingerprint.SHORT and all(type(v) in (int, float) for v in value)
        return fingerprint.of_array(np.asarray(value)) if numbers else [self.of(part) for part in value]

    def of_class(self, kind: type) -> str:
        """A class by its name, with a digest of the code that is not a library's."""
        own = [c for c in kind.__mro__ if not in_library(c)]
        if not own:
            return kind.__qualname__
        members = [{name: self.of(m) for name, m in code.members(c).items()} for c in own]
        return f"{kind.__qualname__} (code {short(members)})"

    def of_function(self, f: Any) -> dict[str, Any]:
        found: dict[str, Any] = {TYPE: f"function {f.__qualname__}"}
        if in_library(f):
            found[TYPE] = f"function {f.__module__}.{f.__qualname__}"
            found |= {"says": short(code.sayings(f.__code__))} if "<lambda>" in f.__qualname__ else {}
        else:
            found["code"] = short(code.words(f.__code__))
            found |= {"names": self.named(code.globals_of(f))}
        parts = {"defaults": code.defaults(f), "closure": code.closure(f), "attributes": code.attributes(f)}
        found |= {name: self.named(part) for name, part in parts.items()}
        return {name: part for name, part in found.items() if part}

    def of_object(self, value: Any) -> Any:
        """An object by what it says of itself, its fields, its configuration, or its attributes."""
        kind = {TYPE: self.of_class(type(value))}
        if callable(getattr(value, "identity", None)):
            return {**kind, **value.identity()}
        if dataclasses.is_dataclass(value):
            return {**kind, **self.named({f.name: getattr(value, f.name) for f in dataclasses.fields(value)})}
        if hasattr(value, "get_config"):
            return {**kind, **self.named(keras_config(value))}
        if hasattr(value, "named_modules"):
            return {**kind, **torch_module(value), **self.named(dict(value.state_dict()))}
        found = attributes_of(value)
        if in_library(type(value)):
            found = {name: part for name, part in found.items() if is_plain(part)}
        if found:
            return {**kind, **self.named(found)}
        told = repr(value)
        return kind[TYPE] if " at 0x" in told else told


def text(description: Any) -> str:
    """A description as one string."""
    return json.dumps(description, sort_keys=True)


def short(description: Any) -> str:
    """A short digest of a description."""
    return fingerprint.digest(text(description).encode())[:12]


def describe_module(module: Any) -> dict[str, Any]:
    """A `torch.nn.Module` or `keras.Model` without its parameters and buffers."""
    told = keras_config(module) if hasattr(module, "get_config") else torch_module(module)
    return {TYPE: Description().of_class(type(module)), **describe(told)}


def in_library(thing: Any) -> bool:
    """Whether a class or function is of Python, of neko or of a framework."""
    package = str(getattr(thing, "__module__", None) or "builtins").partition(".")[0]
    return package in LIBRARIES or package in sys.stdlib_module_names


def is_array(value: Any) -> bool:
    """Whether it is an array of any framework."""
    return hasattr(value, "shape") and hasattr(value, "dtype") and hasattr(value, "__getitem__")


def is_plain(value: Any) -> bool:
    """Whether it is a number, a string, a function, an array, or a container of them."""
    if isinstance(value, list | tuple):
        return all(is_plain(part) for part in value)
    if isinstance(value, dict):
        return all(is_plain(part) for part in value.values())
    kinds = bool | int | float | str | np.generic | type | functools.partial | types.FunctionType
    return value is None or isinstance(value, kinds) or callable(value) or is_array(value)


def attributes_of(value: Any) -> dict[str, Any]:
    """The attributes that an object itself has, of its slots too."""
    slots = [name for c in type(value).__mro__ for name in as_names(vars(c).get("__slots__", ()))]
    found = {name: getattr(value, name) for name in slots if not name.startswith("__") and hasattr(value, name)}
    return {**found, **getattr(value, "__dict__", {})}


def as_names(slots: Any) -> Iterable[str]:
    """Names of slots, of which a single one may be a string."""
    return (slots,) if isinstance(slots, str) else slots


def torch_module(module: Any) -> dict[str, Any]:
    """A `torch.nn.Module` by the class and the public numbers, words and functions of each of its parts, without
    parameters and buffers."""
    own = Description()
    found = {}
    for name, part in module.named_modules():
        values = {k: v for k, v in vars(part).items() if not k.startswith("_") and k != "training"}
        told = {k: own.of(v) for k, v in values.items() if is_plain(v) and not is_array(v) and not holds_array(v)}
        found[name or "itself"] = {TYPE: own.of_class(type(part)), **told}
    return found


def holds_array(value: Any) -> bool:
    """Whether an array, which a forward pass may have left there, is in it."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return any(is_array(part) or holds_array(part) for part in parts)


def keras_config(thing: Any) -> dict[str, Any]:
    """The configuration of a Keras layer, model or optimizer, without what counts instances, how weights are drawn and
    whether it was built; layers are numbered by their place."""
    try:
        config = thing.get_config()
    except NotImplementedError:  # of a model that a person wrote
        config = {}
    if "layers" not in config and getattr(thing, "layers", None):
        own = Description()
        config = {**config, "layers": [{TYPE: own.of_class(type(a)), **keras_config(a)} for a in thing.layers]}
    places: dict[str, str] = {}
    for layer in config.get("layers", []):
        if layer.get("class_name") != "InputLayer":
            places.setdefault((layer.get("config") or {}).get("name", ""), f"layer {len(places)}")
    found: dict[str, Any] = configured(config, places)
    return found


def configured(part: Any, places: dict[str, str]) -> Any:
    """A part of a Keras configuration, cleaned; see `keras_config`."""
    if isinstance(part, dict):
        kept = {k: v for k, v in part.items() if k not in DROPPED and not k.endswith("initializer")}
        return {k: configured(v, places) for k, v in kept.items()}
    if isinstance(part, list | tuple):
        layers = [p for p in part if not (isinstance(p, dict) and p.get("class_name") == "InputLayer")]
        return [configured(p, places) for p in layers]
    return places.get(part, part) if isinstance(part, str) else part


DROPPED = ("name", "module", "registered_name", "build_config", "build_input_shape", "input_layers", "batch_shape")
"""Entries of a Keras configuration that differ between equal models."""


def option_names(kind: type) -> list[str]:
    """The options of a class's constructor and of those that it hands ``**options`` on to."""
    names: dict[str, None] = {}
    for c in kind.__mro__:
        if "__init__" in vars(c) and c is not object:
            for name, parameter in inspect.signature(vars(c)["__init__"]).parameters.items():
                if parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD):
                    names[name] = None
    return [name for name in names if name not in NOT_PART]


def options(thing: Any, **elsewhere: Any) -> dict[str, Any]:
    """The options that something was made with: its attributes by the names of its constructor's arguments, but for
    those that are given here, because they are kept under another name."""
    names = [name for name in option_names(type(thing)) if name not in elsewhere and hasattr(thing, name)]
    return {**options_of(thing, names), **describe(elsewhere)}


def options_of(thing: Any, names: Iterable[str]) -> dict[str, Any]:
    """These attributes of something by value, with its class where that is not a library's."""
    kind = Description().of_class(type(thing))
    own = {} if in_library(type(thing)) else {"class": kind}
    return {**own, **describe({name: getattr(thing, name) for name in names})}


def differences(then: Any, now: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two descriptions differ: a path, and what either has there."""
    if isinstance(then, dict) and isinstance(now, dict) and then.get(TYPE) == now.get(TYPE):
        for name in {**now, **then}:
            yield from differences(then.get(name), now.get(name), f"{path}.{name}" if path else name)
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for i, (a, b) in enumerate(zip(then, now, strict=True)):
            yield from differences(a, b, f"{path}.{i}")
    elif not (then == now or (then != then and now != now)):
        yield path, then, now


def compare(then: Any, now: Any, changed: Iterable[str], *, this: str) -> list[str]:
    """The paths at which two descriptions differ, all of which must be named in `changed`.

    A name stands for the path itself, for all below it, and for paths that end in it: ``'tau_m'`` for
    ``'model.cells.0.tau_m'``.

    Raises
    ------
    CheckpointError
        For a difference that is not named; the message has both values.
    ValueError
        For a name of `changed` that stands for nothing.
    """
    names = list(changed)
    paths = list(paths_of(then)) + list(paths_of(now))
    for name in names:
        if not any(covers(name, path) for path in paths):
            raise ValueError(f"changed={name!r}: expected names such as 'learning_rate' or 'model.cells.0.tau_m'")
    found = list(differences(then, now))
    refused = [(path, a, b) for path, a, b in found if not any(covers(name, path) for name in names)]
    if refused:
        told = "; ".join(f"{path}={shown(a)}: {this} has {shown(b)}" for path, a, b in refused[:TOLD])
        more = f"; and {len(refused) - TOLD} more" if len(refused) > TOLD else ""
        raise CheckpointError(f"it was written with {told}{more}")
    return [path for path, _, _ in found]


def check_names(argument: str, names: Any) -> tuple[str, ...]:
    """Names of what is changed on purpose; TypeError for anything else."""
    found = tuple(arguments.as_list(argument, names, "('learning_rate',)"))
    for name in found:
        if not isinstance(name, str) or not name:
            raise TypeError(f"{argument}={names!r}: expected names, for example ('learning_rate',)")
    return found


def covers(name: str, path: str) -> bool:
    """Whether a name stands for a path."""
    return f".{name}." in f".{path}."


def paths_of(description: Any, path: str = "") -> Iterator[str]:
    """The path of every part of a description."""
    parts = description.items() if isinstance(description, dict) else ()
    parts = enumerate(description) if isinstance(description, list) else parts
    yield path
    for name, part in parts:
        yield from paths_of(part, f"{path}.{name}" if path else str(name))


def shown(value: Any) -> str:
    """A part of a description for a message."""
    told = rendered(value)
    return told if len(told) <= LONGEST else f"{told[:LONGEST]}…"


def rendered(value: Any) -> str:
    """A description as it would be written."""
    if isinstance(value, dict) and TYPE in value:
        inner = ", ".join(f"{name}={rendered(part)}" for name, part in value.items() if name != TYPE)
        return f"{value[TYPE]}({inner})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name!r}: {rendered(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(rendered(part) for part in value) + "]"
    return repr(value)
