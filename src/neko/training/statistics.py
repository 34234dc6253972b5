"""The statistics of a comparison of rules along training."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from neko.training.activity import Activity
from neko.training.deviations import FIELDS, HIDDEN, Changes, cosine, cosines, deviation, is_readout, vectors
from neko.training.together import Found

COLUMNS = ("batch", "rule", "tensor", *FIELDS, "variance", "control", "signal")
"""Columns of the records."""
KEPT = ("records", "histograms", "cosines", "activity", "previous")


class Statistics:
    r"""What a comparison keeps of the gradients of all rules.

    Attributes
    ----------
    records : list of dict
        A row per comparison, rule and tensor: the fields of `Deviation`, and

        - ``variance`` :math:`½ ‖g_k - g_{k-1}‖² / ‖r_k‖²`, half the squared difference of a rule's gradient from that
          of the comparison before, in units of the reference's. For gradients of independent batches its mean is the
          variance around the mean gradient; unlike the variance over a whole training it hardly contains the drift of
          the mean (von Neumann 1941, doi:10.1214/aoms/1177731677). None in the first comparison.
        - ``control`` the cosine of the reference's gradient for targets permuted within the batch to its gradient: as
          close comes a gradient that does not know which input has which target. Both are gradients where weight
          changes are compared, too.
        - ``signal`` the root mean square of the rule's learning signals in the tensor's layer, over valid frames,
          sequences and neurons; None where the rule has none.
    histograms : dict
        Counts per rule and tensor, summed over all comparisons.
    cosines : dict
        Per tensor the cosines between all pairs of rules, (rules, rules), summed over all comparisons.
    activity : list of dict
        A row per comparison and layer, and for the outputs: the fields of `neko.training.activity.Activity`.
    previous : dict
        Gradients of the last comparison by rule, for the variance.
    """

    def __init__(self, rules: list[str], reference: str) -> None:
        self.rules = rules
        self.reference = reference
        self.records: list[dict[str, Any]] = []
        self.histograms: dict[str, dict[str, np.ndarray]] = {}
        self.cosines: dict[str, np.ndarray] = {}
        self.activity: list[dict[str, Any]] = []
        self.previous: dict[str, Changes] = {}

    @property
    def comparisons(self) -> int:
        """The number of comparisons."""
        return len({row["batch"] for row in self.records})

    def add(self, batch: int, values: dict[str, Changes], found: Found) -> None:
        """One comparison: of the gradients or weight changes of every rule, at what was `found` there."""
        common = set.intersection(*(set(of) for of in values.values()))
        shown = {rule: vectors({name: values[rule][name] for name in common}) for rule in self.rules}
        of_reference = shown[self.reference]
        real = of_reference if values is found.gradients else vectors(found.gradients[self.reference])
        controls = {tensor: cosine(g, real[tensor]) for tensor, g in vectors(found.control).items()}
        for rule in self.rules:
            before = self.previous.get(rule)
            before = None if before is None else vectors({name: before[name] for name in common})
            for tensor, g in shown[rule].items():
                r = of_reference[tensor]
                measures = deviation(g, r)
                row = {"batch": batch, "rule": rule, "tensor": tensor}
                row |= {field: getattr(measures, field) for field in FIELDS}
                row["variance"] = None if before is None else variance(g, before[tensor], r)
                row["control"] = controls[tensor]
                row["signal"] = signal_of(found.signals.get(rule, {}), tensor)
                self.records.append(row)
                counts = self.histograms.setdefault(rule, {})
                counts[tensor] = counts.get(tensor, 0) + measures.histogram
        for tensor in of_reference:
            pairs = cosines([shown[rule][tensor] for rule in self.rules])
            self.cosines[tensor] = self.cosines.get(tensor, 0.0) + pairs
        self.activity += [{"batch": batch, **layer._asdict()} for layer in found.activity]
        self.previous = values

    def mean(self, field: str, tensor: str = HIDDEN) -> dict[str, float]:
        """Mean of a column of `records` over all comparisons that have it, by rule."""
        found: dict[str, list[float]] = {}
        for row in self.records:
            if row["tensor"] == tensor and row[field] is not None:
                found.setdefault(row["rule"], []).append(row[field])
        return {name: math.fsum(values) / len(values) for name, values in found.items()}

    def pairs(self, tensor: str = HIDDEN) -> np.ndarray:
        """Mean cosines between all pairs of `rules`, (rules, rules)."""
        return self.cosines[tensor] / self.comparisons

    def all_pairs(self) -> list[dict[str, Any]]:
        """A row per tensor and pair of rules, of `pairs`."""
        return [
            {"tensor": tensor, "rule": rule, "other": other, "cosine": float(cosine)}
            for tensor in self.cosines
            for rule, row in zip(self.rules, self.pairs(tensor), strict=True)
            for other, cosine in zip(self.rules, row, strict=True)
        ]

    def summary(self) -> list[dict[str, Any]]:
        """A row per tensor and rule: the number of comparisons, and the mean of every column of `records`."""
        fields, found = COLUMNS[3:], []
        for tensor in self.cosines:
            means = {field: self.mean(field, tensor) for field in fields}
            for rule in self.rules:
                row = {"tensor": tensor, "rule": rule, "comparisons": self.comparisons}
                found.append(row | {field: means[field].get(rule) for field in fields})
        return found

    def layers(self) -> list[dict[str, Any]]:
        """A row per layer: means of its activity over all comparisons, and the share of those that raised a flag."""
        names = dict.fromkeys(row["layer"] for row in self.activity)
        found = []
        for name in names:
            own = [row for row in self.activity if row["layer"] == name]
            row: dict[str, Any] = {"layer": name}
            for field in Activity._fields[1:]:
                values = [float(r[field]) for r in own if r[field] is not None]
                row[field] = math.fsum(values) / len(values) if values else None
            found.append(row)
        return found

    def exported(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in KEPT}

    def load(self, saved: dict[str, Any]) -> None:
        for name in KEPT:
            setattr(self, name, saved[name])


def variance(g: np.ndarray, before: np.ndarray, r: np.ndarray) -> float:
    """½ ‖g - before‖² / ‖r‖²; NaN or infinite where r is zero."""
    away = g - before
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(0.5 * np.float64(away @ away) / np.float64(r @ r))


def signal_of(signals: dict[str, float], tensor: str) -> float | None:
    """The learning signals' root mean square in the layer of a tensor; for all hidden tensors that of all layers, each
    with the same weight."""
    if tensor == HIDDEN and signals:
        return math.sqrt(math.fsum(s * s for s in signals.values()) / len(signals))
    return None if is_readout(tensor) else signals.get(tensor.rpartition(".")[0])
