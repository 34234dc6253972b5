"""Learning rules: how a batch turns into gradients, composed with an update."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from neko.rules.base import Gradient, Rule
from neko.rules.bptt import BPTT
from neko.rules.eprop import Eprop
from neko.rules.manhattan import ManhattanMaterialRule, ManhattanRule
from neko.rules.rtrl import RTRL

RULES: dict[str, type[Rule]] = {"bptt": BPTT, "eprop": Eprop, "rtrl": RTRL}


def get(name: str) -> type[Rule]:
    """The rule class of a name; ValueError lists the names there are."""
    if name not in RULES:
        raise ValueError(f"rule {name!r}: expected one of {sorted(RULES)}")
    return RULES[name]


def resolve(rule: Any) -> Callable[..., Rule]:
    """What makes a rule from an evaluator: of a name such as ``'bptt'`` or, with its mode, ``'eprop:random'``.

    Anything callable is returned as it is.
    """
    if callable(rule):
        return rule
    name, _, mode = str(rule).partition(":")
    made: Any = get(name)
    if mode and made is not Eprop:
        raise ValueError(f"rule {rule!r}: only 'eprop' has modes")
    return functools.partial(made, mode=mode) if mode else made


__all__ = [
    "BPTT",
    "RTRL",
    "RULES",
    "Eprop",
    "Gradient",
    "ManhattanMaterialRule",
    "ManhattanRule",
    "Rule",
    "get",
    "resolve",
]
