"""One colour a learning rule, in every figure."""

from __future__ import annotations

from collections.abc import Iterable

# The palette of Okabe & Ito, which people with a colour vision deficiency can tell apart.
RULES = {
    "bptt": "#0072B2",
    "eprop:symmetric": "#D55E00",
    "eprop:random": "#E69F00",
    "eprop:adaptive": "#009E73",
    "rtrl": "#56B4E9",
}
SHORT = {"eprop": "eprop:symmetric", "e-prop": "eprop:symmetric"}
OTHERS = ("#CC79A7", "#7F7F7F", "#8C564B", "#9467BD", "#17BECF", "#BCBD22")
"""For names that are no rule's, in turn."""


def of(rule: str, beside: Iterable[str] = ()) -> str:
    """The colour of a rule's curves.

    Parameters
    ----------
    rule : str
        A rule's name, such as 'bptt' or 'eprop:random', which has the same colour everywhere; or a name of your own.
    beside : iterable of str
        All names in the figure: those of your own get colours that differ from each other, in their order.
    """
    name = known(rule)
    if name in RULES:
        return RULES[name]
    own = [other for other in beside if known(other) not in RULES]
    return OTHERS[own.index(rule) % len(OTHERS) if rule in own else 0]


def known(name: str) -> str:
    """A rule's name as `RULES` has it."""
    lower = name.lower()
    return SHORT.get(lower, lower)
