"""Which settings a sweep tries: all combinations, draws at random, or what Optuna proposes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from neko.sweeps.plan import Plan

ATTEMPTS = 1000
"""Draws without a new setting after which all are taken to be known."""


class Search(Protocol):
    """The settings of a sweep, in order."""

    def settings(self, found: Mapping[int, float | None]) -> list[dict[str, Any]]:
        """All settings that can be tried, given the measure of those that are done, by number; None for a failed one.

        With more results the list grows, but its beginning stays.
        """


class Fixed:
    """Settings that depend on no result."""

    def __init__(self, settings: list[dict[str, Any]]) -> None:
        self.all = settings

    def settings(self, found: Mapping[int, float | None]) -> list[dict[str, Any]]:
        return self.all


def grid(plan: Plan) -> Fixed:
    """All combinations, the last option running fastest."""
    points = [values.points() for values in plan.vary.values()]
    return Fixed([dict(zip(plan.vary, combination, strict=True)) for combination in itertools.product(*points)])


def random(plan: Plan) -> Fixed:
    """Different draws at random; fewer than are asked for where there are no more."""
    rng, settings = np.random.default_rng(plan.search_seed), []
    for _ in range(plan.trials or 0):
        for _ in range(ATTEMPTS):
            setting = {name: values.draw(rng) for name, values in plan.vary.items()}
            if setting not in settings:
                settings.append(setting)
                break
    return Fixed(settings)


class TPE:
    """Proposals of Optuna's tree-structured Parzen estimator, the first ten of which are drawn at random.

    Proposal k is made from the results of the proposals up to ``k - ahead``, told in order, so that results, and
    nothing else, determine it: the same after a kill, and with any number of workers.

    References
    ----------
    Bergstra et al. (2011), "Algorithms for hyper-parameter optimization".
    """

    def __init__(self, plan: Plan) -> None:
        try:
            import optuna
        except ImportError as error:
            raise ImportError("search='tpe' needs Optuna: pip install 'neko-learning[sweeps]'") from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.plan = plan
        self.fail = optuna.trial.TrialState.FAIL
        self.study = optuna.create_study(
            direction="maximize" if plan.maximised else "minimize",
            sampler=optuna.samplers.TPESampler(seed=plan.search_seed),
        )
        self.asked: list[Any] = []
        self.all: list[dict[str, Any]] = []

    def settings(self, found: Mapping[int, float | None]) -> list[dict[str, Any]]:
        while len(self.all) < (self.plan.trials or 0):
            known = len(self.all) - self.plan.ahead
            if known >= 0:
                if known not in found:
                    break
                self.tell(self.asked[known], found[known])
            trial = self.study.ask()
            self.asked.append(trial)
            self.all.append({name: values.suggest(trial, name) for name, values in self.plan.vary.items()})
        return self.all

    def tell(self, trial: Any, value: float | None) -> None:
        """Tell Optuna a result."""
        if value is None or not np.isfinite(value):
            self.study.tell(trial, state=self.fail)
        else:
            self.study.tell(trial, value)


SEARCHES: dict[str, Any] = {"grid": grid, "random": random, "tpe": TPE}
"""What makes the search of a plan."""
