"""Learning rules: how a batch turns into gradients, composed with an update."""

from neko.rules.base import Gradient, Rule
from neko.rules.bptt import BPTT
from neko.rules.eprop import Eprop
from neko.rules.rtrl import RTRL

RULES: dict[str, type[Rule]] = {"bptt": BPTT, "eprop": Eprop, "rtrl": RTRL}


def get(name: str) -> type[Rule]:
    """The rule class of a name; ValueError lists the names there are."""
    if name not in RULES:
        raise ValueError(f"rule {name!r}: expected one of {sorted(RULES)}")
    return RULES[name]


__all__ = ["BPTT", "RTRL", "RULES", "Eprop", "Gradient", "Rule", "get"]
