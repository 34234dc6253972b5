"""Comparison of rules: gradients, or weight changes, at the same state from the same batch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neko import identity
from neko.arguments import check_integer
from neko.data.intake import Examples
from neko.evaluator import Evaluator
from neko.io import files
from neko.training.clones import check_name, clones, share_feedback
from neko.training.deviations import FIELDS, HIDDEN, Changes, Deviation, deviation, deviations
from neko.training.learner import Learner, Measures
from neko.training.learning_rule import LearningRule
from neko.updates import Naive


def gradients(
    model: Evaluator, x: Any, y: Any, rules: Iterable[Any] | Mapping[str, Any], mask: Any = None
) -> dict[str, dict[str, Deviation]]:
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
        the readout, whose gradient is the same for most rules.

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
    reference = None
    result = {}
    for name, rule in made.items():
        found = weights_only(rule, rule.gradients_of(batch)[1])
        reference = found if reference is None else reference
        result[name] = deviations(found, reference)
    return result


class GradientComparison(Learner):
    """A primary rule that learns, and the deviations of the gradients of others along its training.

    A `Trainer` trains it. At every `every`-th batch, before the primary learns from it, each rule computes its gradient
    on a clone with the primary's parameters, from the same batch, objective and mask, without an optimizer. Only
    statistics are kept.

    Parameters
    ----------
    primary : LearningRule
        The rule that learns.
    others : iterable of str or callable, or dict
        As `rules` for `gradients`.
    name : str, optional
        Name of the primary; that of its rule by default.
    reference : str, optional
        Name of the rule with which the others are compared; the primary by default.
    every : int
        Number of batches between two comparisons.
    sync_feedback : bool
        Copy the primary's feedback weights, if it has any, to every rule at every comparison. Otherwise rules with
        feedback start with the same weights, and a rule that learns its feedback continues to learn it.
    changes : bool
        Compare weight changes by each rule's own update in place of gradients, for example of rules that send pulses
        to devices (with the naive optimizer a change is minus the gradient).

    Attributes
    ----------
    records : list of dict
        A row per comparison, rule and tensor: 'batch', 'rule', 'tensor', and the fields of `Deviation`.
    histograms : dict
        Counts per rule and tensor, summed over all comparisons.
    """

    pausable = True

    def __init__(
        self,
        primary: LearningRule,
        others: Iterable[Any] | Mapping[str, Any],
        *,
        name: str | None = None,
        reference: str | None = None,
        every: int = 1,
        sync_feedback: bool = True,
        changes: bool = False,
    ) -> None:
        self.primary = primary
        self.model = primary.model
        self.name = primary.name if name is None else check_name(name)
        self.others = clones(primary.model, others)
        if self.name in self.others:
            raise ValueError(
                f"others contain {self.name!r}, which is the primary: expected other rules, or other names: "
                "others={'another': …}, or name='another' for the primary"
            )
        self.reference = self.name if reference is None else reference
        if self.reference not in (self.name, *self.others):
            raise ValueError(f"reference={reference!r}: expected one of {[self.name, *self.others]!r}")
        self.every = check_integer("every", every)
        self.sync_feedback = sync_feedback
        self.changes = changes
        self.batches = 0
        self.records: list[dict[str, Any]] = []
        self.histograms: dict[str, dict[str, np.ndarray]] = {}

    @property
    def due(self) -> bool:
        """Whether rules are compared at the next batch."""
        return self.batches % self.every == 0

    @property
    def ordered(self) -> bool:
        return self.primary.ordered

    def learn(self, item: Examples) -> Measures:
        self.synchronise(item.x)
        if self.due and not self.changes:
            self.compare(item, self.primary.gradients_of(item)[1])
        before = self.model.params
        measures = self.primary.learn(item)
        if self.due:
            self.primary.check()
        if self.due and self.changes:
            after = self.model.params
            self.compare(item, {name: after[name] - p for name, p in before.items()})
        self.learn_feedback(item, stepped=self.due and self.changes)
        self.batches += 1
        return measures

    def check(self) -> None:
        self.primary.check()
        for other in self.others.values():
            other.check()

    def finish(self, totals: Measures) -> dict[str, float]:
        return self.primary.finish(totals)

    def synchronise(self, x: Any) -> None:
        """Give the clones the primary's parameters, and the same feedback weights to all."""
        self.primary.start()
        for other in self.others.values():
            other.model.params = self.primary.model.params
            if other.model.model.persistent:
                other.model.model.buffers = self.primary.model.model.buffers
            other.model.prepare(x)
        if self.batches == 0 or self.synced:
            share_feedback([self.primary, *self.others.values()], x)

    @property
    def synced(self) -> bool:
        """Whether feedback weights are the primary's at every comparison."""
        return self.sync_feedback and bool(self.primary.feedback)

    def learn_feedback(self, batch: Examples, *, stepped: bool) -> None:
        """Let rules that learn their feedback weights do so, on clones with the primary's parameters."""
        for rule in self.others.values():
            if (
                rule.gradient.learnt_feedback()
                and not self.synced
                and not (stepped and not isinstance(rule.update, Naive))
            ):
                before = rule.model.params
                rule.learn(batch)
                rule.model.params = before

    def compare(self, batch: Examples, of_primary: Any) -> None:
        """Compare every rule's values with the reference's; those of one other rule are in memory at a time."""
        primary = weights_only(self.primary, of_primary)
        reference = primary if self.reference == self.name else self.of_other(self.reference, batch)
        known = {self.name: primary, self.reference: reference}
        for name in (self.name, *self.others):
            found = known[name] if name in known else self.of_other(name, batch)
            for tensor, measures in deviations(found, reference).items():
                row = {field: getattr(measures, field) for field in FIELDS}
                self.records.append({"batch": self.batches, "rule": name, "tensor": tensor, **row})
                counts = self.histograms.setdefault(name, {})
                counts[tensor] = counts.get(tensor, 0) + measures.histogram

    def of_other(self, name: str, batch: Examples) -> Changes:
        """Gradient or weight change of a rule on its clone."""
        rule = self.others[name]
        if not self.changes or isinstance(rule.update, Naive):
            gradients = weights_only(rule, rule.gradients_of(batch)[1])
            # with the naive optimizer the change before it is rounded into the weights
            return {name: -g for name, g in gradients.items()} if self.changes else gradients
        before = rule.model.params
        rule.learn(batch)
        after = rule.model.params
        rule.model.params = before
        return weights_only(rule, {name: after[name] - p for name, p in before.items()})

    def mean(self, field: str, tensor: str = HIDDEN) -> dict[str, float]:
        """Mean of a field of `Deviation` over all comparisons, by rule, for one tensor or all hidden ones together."""
        found: dict[str, list[float]] = {}
        for row in self.records:
            if row["tensor"] == tensor:
                found.setdefault(row["rule"], []).append(row[field])
        return {name: math.fsum(values) / len(values) for name, values in found.items()}

    def save(self, path: str | Path) -> Path:
        """Write `records` as CSV."""
        return files.write_table(path, ["batch", "rule", "tensor", *FIELDS], self.records)

    def identity(self) -> dict[str, Any]:
        own = ("name", "reference", "every", "sync_feedback", "changes")
        others = {name: rule.options() for name, rule in self.others.items()}
        return {**identity.options_of(self, own), "others": others, **self.primary.identity()}

    def exported(self) -> dict[str, Any]:
        return {
            **self.primary.exported(),
            "others": {name: rule.exported() for name, rule in self.others.items()},
            "batches": self.batches,
            "records": self.records,
            "histograms": self.histograms,
        }

    def load(self, saved: dict[str, Any], batches: Iterable[Examples]) -> None:
        first = [next(iter(batches))]
        self.primary.load(saved, first)
        for name, rule in self.others.items():
            rule.model.prepare(first[0].x)
            rule.load(saved["others"][name], first)
        self.batches, self.records, self.histograms = (saved[n] for n in ("batches", "records", "histograms"))


def weights_only(rule: LearningRule, values: Mapping[str, Any]) -> Changes:
    """The values of the model's own parameters, without learnt feedback, as NumPy arrays."""
    return {name: np.asarray(rule.xp.to_numpy(values[name])) for name in rule.model.params}


__all__ = ["Deviation", "GradientComparison", "clones", "deviation", "deviations", "gradients", "weights_only"]
