"""Comparison of rules at one state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from neko.evaluator import Evaluator
from neko.training.clones import clones, share_feedback
from neko.training.deviations import Deviation, deviations
from neko.training.statistics import Statistics
from neko.training.together import Together


class Compared(dict[str, dict[str, Deviation]]):
    """Deviations by rule, then by tensor, of a comparison at one state; `statistics` has its other measures."""

    statistics: Statistics


def gradients(model: Evaluator, x: Any, y: Any, rules: Iterable[Any] | Mapping[str, Any], mask: Any = None) -> Compared:
    """Gradients of several rules at one state, each compared with the first rule's.

    Parameters
    ----------
    model : Evaluator
        Model, loss and metrics; it is not changed.
    x, y, mask
        A batch, as for `LearningRule.step`.
    rules : iterable of str or callable, or dict
        Names such as ``'bptt'`` or ``'eprop:random'``, or functions from an evaluator to a rule. A dict gives them
        other names, so that variants of one rule can be compared:
        ``{'whole': BPTT, 'short': functools.partial(BPTT, truncation=5)}``. The first is the reference. Rules with
        feedback weights get the same ones.

    Returns
    -------
    dict
        Deviations by rule, then by tensor; ``'all hidden'`` are the hidden tensors together, ``'all readout'`` those of
        the readout, whose gradient is the same for most rules. Its attribute ``statistics``, see
        `neko.training.statistics.Statistics`, has the cosines between all pairs of rules, the control by permuted
        targets, the learning signals, and the activity of the network.

    Examples
    --------
    >>> import numpy as np
    >>> import neko
    >>> model = neko.Evaluator(neko.ALIF(8, 2, "torch"), loss="categorical_crossentropy")
    >>> x, y = np.ones((3, 20, 4)), np.eye(2)[[0, 1, 1]]
    >>> found = gradients(model, x, y, ["bptt", "eprop:symmetric"])
    >>> found["bptt"]["all hidden"].relative
    0.0
    >>> sorted(found["eprop:symmetric"])  # doctest: +NORMALIZE_WHITESPACE
    ['all hidden', 'all readout', 'layers.0.w_in', 'layers.0.w_rec', 'readout.b_out', 'readout.w_out']
    """
    batch = model.examples(x, y, mask)
    made = clones(model, rules)
    share_feedback(list(made.values()), batch.x)
    first = next(iter(made))
    for rule in made.values():  # the very same arrays, so that rules share what they compute from them
        rule.model.params = made[first].model.params
    found = Together(made, first)(batch, 0)
    result = Compared((name, deviations(found.gradients[name], found.gradients[first])) for name in made)
    result.statistics = Statistics(list(made), first)
    result.statistics.add(0, found.gradients, found)
    return result
