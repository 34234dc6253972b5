"""The cost of a comparison of rules beside that of their gradients alone."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.worker import pin

RULES = ("bptt", "eprop:symmetric", "eprop:random", "eprop:adaptive", "rflo:symmetric", "ottt:symmetric")
"""The rules that are compared, the reference first."""
RATE = 0.05


def measure(backend: str, shape: tuple[int, ...], rounds: int) -> dict[str, Any]:
    """Milliseconds of CPU time of each rule's gradient alone, of all in one program, and of the statistics; medians of
    `rounds`, in which they take turns, and of the ratio of a comparison to the sum of its rules within a round.

    `shape` is (batch, T, in, hidden, out); inputs are spikes in `RATE` of the steps.
    """
    pin(1)
    import neko
    from neko.training.clones import clones, share_feedback
    from neko.training.statistics import Statistics
    from neko.training.together import Together

    size, steps, n_in, hidden, n_out = shape
    rng = np.random.default_rng(0)
    x, y = (rng.random((size, steps, n_in)) < RATE).astype(np.float32), np.eye(n_out)[rng.integers(n_out, size=size)]
    model = neko.Evaluator(neko.ALIF(hidden, n_out, backend, v_th=0.6), "categorical_crossentropy", ["firing_rate"])
    model.build(x)
    batch = model.examples(x, y)
    rules = clones(model, RULES)
    share_feedback(list(rules.values()), batch.x)
    for rule in rules.values():
        rule.model.params = model.params
    together, kept = Together(rules, RULES[0]), Statistics(list(RULES), RULES[0])

    def alone(name: str) -> Callable[[], None]:
        rule = rules[name]

        def gradient() -> None:
            for g in rule.gradients_of(batch)[1].values():
                rule.xp.to_numpy(g)

        return gradient

    parts: dict[str, Callable[[], Any]] = {name: alone(name) for name in RULES}
    parts["together"] = lambda: together(batch, 0)
    found = together(batch, 0)
    parts["statistics"] = lambda: kept.add(0, found.gradients, found)
    spent: dict[str, list[float]] = {name: [] for name in parts}
    for part in parts.values():
        part()
    for _ in range(rounds):
        for name, part in parts.items():
            begin = time.process_time()
            part()
            spent[name].append(1e3 * (time.process_time() - begin))
    sums = [sum(times) for times in zip(*(spent[name] for name in RULES), strict=True)]
    wholes = [a + b for a, b in zip(spent["together"], spent["statistics"], strict=True)]
    return {
        "ratio": statistics.median(whole / total for whole, total in zip(wholes, sums, strict=True)),
        "rate": model.evaluate(x, y)["firing_rate"] / 1000.0,
        **{name: statistics.median(times) for name, times in spent.items()},
    }
