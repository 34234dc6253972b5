"""Comparison of rules along training: gradients, or weight changes, at the same state from the same batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neko import identity
from neko.arguments import check_choice, check_integer
from neko.data.intake import Examples
from neko.errors import CheckpointError
from neko.io import tables
from neko.training.activity import Activity
from neko.training.at_one_state import gradients
from neko.training.clones import check_name, clones, feedback_form, share_feedback
from neko.training.costs import Cost, cost
from neko.training.deviations import HIDDEN, Changes, Deviation, deviation, deviations
from neko.training.learner import Learner, Measures
from neko.training.learning_rule import LearningRule
from neko.training.statistics import COLUMNS, Statistics
from neko.training.together import Found, Together
from neko.updates import Naive

TABLES = ("records", "summary", "cosines", "activity")
"""The tables that a comparison writes."""


class GradientComparison(Learner):
    """A primary rule that learns, and the deviations of the gradients of others along its training.

    A `Trainer` trains it. At every `every`-th batch, before the primary learns from it, each rule computes its gradient
    on a clone with the primary's parameters, from the same batch, objective and mask, without an optimizer. Statistics
    are kept, and the gradients until the next comparison.

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
        Copy the primary's feedback weights, if it has any, to every rule that has such weights, of the same names and
        shapes, at every comparison. Otherwise rules with such feedback start with the same weights, and a rule that
        learns its feedback continues to learn it.
    changes : bool
        Compare weight changes by each rule's own update in place of gradients, for example of rules that send pulses
        to devices (with the naive optimizer a change is minus the gradient).
    measure_costs : bool
        Measure time and memory of every rule's gradient, alone, at the first comparison (see `neko.training.costs`).

    Attributes
    ----------
    statistics : Statistics
        All that is kept, see `neko.training.statistics.Statistics`.
    records : list of dict
        A row per comparison, rule and tensor: 'batch', 'rule', 'tensor', the fields of `Deviation`, and 'variance',
        'control' and 'signal'; those of the statistics.
    histograms : dict
        Counts per rule and tensor, summed over all comparisons.
    costs : dict of Cost
        By rule; empty unless they are measured.
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
        measure_costs: bool = False,
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
        self.measure_costs = measure_costs
        self.batches = 0
        self.statistics = Statistics([self.name, *self.others], self.reference)
        self.costs: dict[str, Cost] = {}
        compared = [self.reference] if changes else [self.name, *self.others]
        self._together = Together({name: self.rule(name) for name in compared}, self.reference)

    @property
    def records(self) -> list[dict[str, Any]]:
        return self.statistics.records

    @property
    def histograms(self) -> dict[str, dict[str, np.ndarray]]:
        return self.statistics.histograms

    def rule(self, name: str) -> LearningRule:
        """A rule by its name."""
        return self.primary if name == self.name else self.others[name]

    @property
    def due(self) -> bool:
        """Whether rules are compared at the next batch."""
        return self.batches % self.every == 0

    @property
    def ordered(self) -> bool:
        return self.primary.ordered

    def learn(self, item: Examples) -> Measures:
        self.synchronise(item.x)
        found = self.look(item) if self.due else None
        if found is not None and not self.changes:
            self.compare(found.gradients, found)
        before = self.model.params
        measures = self.primary.learn(item)
        if self.due:
            self.primary.check()
        if found is not None and self.changes:
            after = self.model.params
            own = weights_only(self.primary, {name: after[name] - p for name, p in before.items()})
            self.compare({self.name: own} | {name: self.of_other(name, item) for name in self.others}, found)
        self.learn_feedback(item, stepped=self.due and self.changes)
        self.batches += 1
        return measures

    def look(self, batch: Examples) -> Found:
        """The gradients of all rules, or of the reference alone where changes are compared."""
        if self.measure_costs and not self.costs:
            self.costs = {name: cost(self.rule(name), batch) for name in (self.name, *self.others)}
        return self._together(batch, self.primary.steps)

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
                and not (self.synced and feedback_form(rule) == feedback_form(self.primary))
                and not (stepped and not isinstance(rule.update, Naive))
            ):
                before = rule.model.params
                rule.learn(batch)
                rule.model.params = before

    def compare(self, values: dict[str, Changes], found: Found) -> None:
        """Add the comparison of every rule's values with the reference's."""
        self.statistics.add(self.batches, values, found)

    def of_other(self, name: str, batch: Examples) -> Changes:
        """Gradient or weight change of a rule on its clone."""
        rule = self.others[name]
        if not self.changes or isinstance(rule.update, Naive):
            rule.steps = self.primary.steps  # from which stochastic rules draw
            gradients = weights_only(rule, rule.gradients_of(batch)[1])
            # with the naive optimizer the change before it is rounded into the weights
            return {name: -g for name, g in gradients.items()} if self.changes else gradients
        before = rule.model.params
        rule.learn(batch)
        after = rule.model.params
        rule.model.params = before
        return weights_only(rule, {name: after[name] - p for name, p in before.items()})

    def mean(self, field: str, tensor: str = HIDDEN) -> dict[str, float]:
        """Mean of a column of `records` over all comparisons that have it, by rule, for one tensor or all hidden ones
        together."""
        return self.statistics.mean(field, tensor)

    def table(self, name: str = "records") -> tuple[list[str], list[dict[str, Any]]]:
        """Columns and rows of a table.

        'records' are those of every comparison; 'summary' means over all comparisons by tensor and rule, with costs;
        'cosines' mean cosines between all pairs of rules by tensor; 'activity' that of every layer in every comparison.
        """
        check_choice("table", name, TABLES)
        statistics = self.statistics
        if name == "records":
            return list(COLUMNS), statistics.records
        if name == "summary":
            rows = statistics.summary()
            costs = {rule: found._asdict() for rule, found in self.costs.items()}
            rows = [row | costs.get(row["rule"], dict.fromkeys(Cost._fields)) for row in rows]
            return ["tensor", "rule", "comparisons", *COLUMNS[3:], *Cost._fields], rows
        if name == "cosines":
            return ["tensor", "rule", "other", "cosine"], statistics.all_pairs()
        return ["batch", *Activity._fields], statistics.activity

    def save(self, path: str | Path, table: str = "records") -> Path:
        """Write a `table` as CSV or, if the path ends in ``.parquet``, as Parquet, with the same columns and values."""
        return tables.write(path, *self.table(table))

    def identity(self) -> dict[str, Any]:
        own = ("name", "reference", "every", "sync_feedback", "changes")
        others = {name: rule.options() for name, rule in self.others.items()}
        return {**identity.options_of(self, own), "others": others, **self.primary.identity()}

    def exported(self) -> dict[str, Any]:
        return {
            **self.primary.exported(),
            "others": {name: rule.exported() for name, rule in self.others.items()},
            "batches": self.batches,
            "statistics": self.statistics.exported(),
            "costs": {name: list(found) for name, found in self.costs.items()},
        }

    def load(self, saved: dict[str, Any], batches: Iterable[Examples]) -> None:
        if "statistics" not in saved:
            raise CheckpointError(
                "the checkpoint is of a comparison by an older neko, which kept fewer statistics: train anew, or go on "
                "with that version"
            )
        first = [next(iter(batches))]
        self.primary.load(saved, first)
        for name, rule in self.others.items():
            rule.model.prepare(first[0].x)
            rule.load(saved["others"][name], first)
        self.batches = saved["batches"]
        self.statistics.load(saved["statistics"])
        self.costs = {name: Cost(*found) for name, found in saved["costs"].items()}


def weights_only(rule: LearningRule, values: Mapping[str, Any]) -> Changes:
    """The values of the model's own parameters, without learnt feedback, as NumPy arrays."""
    return {name: np.asarray(rule.xp.to_numpy(values[name])) for name in rule.model.params}


__all__ = [
    "Deviation",
    "GradientComparison",
    "clones",
    "deviation",
    "deviations",
    "gradients",
    "weights_only",
]
