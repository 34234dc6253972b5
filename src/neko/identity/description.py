"""Descriptions of objects by value: names, numbers and digests that are the same in every process."""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import re
import sys
import types
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np

from neko.identity import code, fingerprint

TYPE = "type"
"""Key of a description that holds the type of the object."""
LIBRARIES = {"neko", "numpy", "torch", "jax", "jaxlib", "optax", "keras", "tensorflow", "builtins"}
"""Packages whose code is identified by name; other code is identified by a digest."""


def describe(value: Any) -> Any:
    """A description of a value, made of dicts, lists, numbers, strings and None.

    It holds no address, hash or name that depends on the process, so that descriptions of equal objects are equal in
    every process. Arrays are described by a digest; functions by their name, closure, defaults and (unless a library's)
    a digest of their code; objects by their type and attributes.
    """
    return Description().of(value)


class Description:
    """One description; an object that occurs twice is described once, and cycles end."""

    def __init__(self) -> None:
        self.known: dict[int, Any] = {}
        self.kept: list[Any] = []

    def of(self, value: Any) -> Any:
        if isinstance(value, enum.Enum):
            return f"{type(value).__name__}.{value.name}"
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, np.generic):
            return self.of(value.item())
        if id(value) in self.known:
            return self.known[id(value)]
        self.known[id(value)] = f"<{type(value).__name__}>"
        self.kept.append(value)  # so that its id is not reused
        self.known[id(value)] = found = self.of_thing(value)
        return found

    def of_thing(self, value: Any) -> Any:
        """The description of anything but a number, string or None."""
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
            parts = dict(zip(value._fields, value, strict=True))
            return {TYPE: self.of_class(type(value)), **self.named(parts)}
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
        """Descriptions by name, without the backend, which is described once elsewhere."""
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
        """The name of a class, with a digest of its code outside of libraries."""
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
        """An object by its `identity` method, its fields, its configuration, or its attributes."""
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
    return json.dumps(description, sort_keys=True)


def short(description: Any) -> str:
    return fingerprint.digest(text(description).encode())[:12]


def describe_module(module: Any) -> dict[str, Any]:
    """A `torch.nn.Module` or `keras.Model` without its parameters and buffers."""
    told = keras_config(module) if hasattr(module, "get_config") else torch_module(module)
    return {TYPE: Description().of_class(type(module)), **describe(told)}


def in_library(thing: Any) -> bool:
    """Whether a class or function belongs to Python, neko or a framework."""
    package = str(getattr(thing, "__module__", None) or "builtins").partition(".")[0]
    return package in LIBRARIES or package in sys.stdlib_module_names


def is_array(value: Any) -> bool:
    """Whether a value is an array of any framework."""
    return hasattr(value, "shape") and hasattr(value, "dtype") and hasattr(value, "__getitem__")


def is_plain(value: Any) -> bool:
    """Whether a value is a number, string, function or array, or a container of them."""
    if isinstance(value, list | tuple):
        return all(is_plain(part) for part in value)
    if isinstance(value, dict):
        return all(is_plain(part) for part in value.values())
    return value is None or isinstance(value, bool | int | float | str) or callable(value) or is_array(value)


def attributes_of(value: Any) -> dict[str, Any]:
    """The attributes of an object itself, including slots."""
    declared = [vars(c).get("__slots__", ()) for c in type(value).__mro__]
    slots = [name for names in declared for name in ((names,) if isinstance(names, str) else names)]
    found = {name: getattr(value, name) for name in slots if not name.startswith("__") and hasattr(value, name)}
    return {**found, **getattr(value, "__dict__", {})}


def torch_module(module: Any) -> dict[str, Any]:
    """A `torch.nn.Module` by the class and the public numbers, strings and functions of each submodule, without
    parameters and buffers."""
    own = Description()
    found = {}
    inside = {id(part) for part in module.modules()}

    def plainly(v: Any) -> Any:
        """A method of the module itself as its function, without the module in it again."""
        return v.__func__ if isinstance(v, types.MethodType) and id(v.__self__) in inside else v

    for name, part in module.named_modules():
        values = {k: plainly(v) for k, v in vars(part).items() if not k.startswith("_") and k != "training"}
        told = {k: own.of(v) for k, v in values.items() if is_plain(v) and not is_array(v) and not holds_array(v)}
        found[name or "itself"] = {TYPE: own.of_class(type(part)), **told}
    return found


def holds_array(value: Any) -> bool:
    """Whether a container holds an array, for example one that a forward pass stored."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return any(is_array(part) or holds_array(part) for part in parts)


def keras_config(thing: Any) -> dict[str, Any]:
    """The configuration of a Keras layer, model or optimizer, without instance counters, initializers and build state;
    layers are numbered by their position."""
    try:
        config = thing.get_config()
    except NotImplementedError:  # of a user's subclass
        config = {}
    if "layers" not in config and getattr(thing, "layers", None):
        own = Description()
        config = {**config, "layers": [{TYPE: own.of_class(type(a)), **keras_config(a)} for a in thing.layers]}
    places: dict[str, str] = {}
    for layer in config.get("layers", []):
        kind = "input" if layer.get("class_name") == "InputLayer" else "layer"
        place = sum(known.startswith(kind) for known in places.values())
        places.setdefault((layer.get("config") or {}).get("name", ""), f"{kind} {place}")
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


DROPPED = ("name", "module", "registered_name", "build_config", "build_input_shape", "batch_shape")
"""Entries of a Keras configuration that differ between equal models."""
