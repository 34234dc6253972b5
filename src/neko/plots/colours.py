"""The colour of each learning rule, equal in all figures."""

from __future__ import annotations

from collections.abc import Iterable

# The palette of Okabe & Ito, suited to colour vision deficiencies.
RULES = {
    "bptt": "#0072B2",
    "eprop:symmetric": "#D55E00",
    "eprop:random": "#E69F00",
    "eprop:adaptive": "#009E73",
    "rtrl": "#56B4E9",
}
SHORT = {"eprop": "eprop:symmetric", "e-prop": "eprop:symmetric"}
OTHERS = ("#CC79A7", "#7F7F7F", "#8C564B", "#9467BD", "#17BECF", "#BCBD22")
"""Colours of other names, in this order."""


def of(rule: str, beside: Iterable[str] = ()) -> str:
    """The colour of a rule's curves.

    Parameters
    ----------
    rule : str
        A rule's name, such as 'bptt' or 'eprop:random', or a name of your own.
    beside : iterable of str
        All names in the figure; those that are not rules get different colours in this order.
    """
    name = known(rule)
    if name in RULES:
        return RULES[name]
    own = [other for other in beside if known(other) not in RULES]
    return OTHERS[own.index(rule) % len(OTHERS) if rule in own else 0]


def known(name: str) -> str:
    """A name as it appears in `RULES`."""
    lower = name.lower()
    return SHORT.get(lower, lower)
