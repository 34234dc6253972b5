"""Gradient rules: the computation of gradients from a batch, without optimizers."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

from neko.registry import called
from neko.rules.base import RULES, Gradient, GradientRule


def resolve(rule: Any) -> Callable[..., Any]:
    """The function that builds a rule from an evaluator: of a name such as ``'bptt'``, with a mode ``'eprop:random'``
    or options ``'snap(level=2)'``, or ``'file.py:Name'``; a callable is returned as it is. ValueError, which lists the
    valid ones, for an unknown name or mode."""
    if callable(rule):
        return rule
    place, options = called(str(rule))
    name, _, mode = place.partition(":")
    if name not in RULES or not mode:
        found: Callable[..., Any] = RULES.get(place)
        return functools.partial(found, **options) if options else found
    modes = RULES.about(name).get("modes", ())
    if mode not in modes:
        raise ValueError(f"rule {rule!r}: expected {f'a mode of {name!r}, one of {modes!r}' if modes else repr(name)}")
    made: Any = RULES[name]
    return functools.partial(made, mode=mode, **options)


def names() -> list[str]:
    """The names of all rules, also with their modes."""
    return [entry for name in RULES for entry in (name, *(f"{name}:{m}" for m in RULES.about(name).get("modes", ())))]


def __getattr__(name: str) -> Any:
    """A rule by the name of its class, such as ``neko.rules.Eprop``, or the base class of three-factor rules."""
    if name == "ThreeFactor":
        return importlib.import_module("neko.rules.online.three_factor").ThreeFactor
    if name[:1].isupper():
        for rule in RULES.values():
            if rule.__name__ == name:
                return rule
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["RULES", "Gradient", "GradientRule", "names", "resolve"]
