"""The run of ``neko compare``: one rule trains, and the gradients of others are compared with it."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from neko import plots
from neko.runs.build import build_evaluator
from neko.runs.folder import RUNS, Run
from neko.training.callbacks import Callback
from neko.training.comparison import GradientComparison
from neko.training.loop import Loop
from neko.training.pairs import resolve

NUMBERS = "comparison.csv"


@RUNS.register("compare")
class Comparison(Run):
    """How the gradients of rules deviate while one of them trains."""

    def learner(self) -> Any:
        config = self.config
        model = build_evaluator(config, self.data)
        first, *others = (rule.strip() for rule in config.rules.split(","))
        primary = resolve(first)(model, learning_rate=config.learning_rate)
        return GradientComparison(primary, others, reference=config.reference, every=config.every)

    @property
    def comparison(self) -> GradientComparison:
        """The comparison that the run trains."""
        found: GradientComparison = self.trainer.rule  # type: ignore[assignment]
        return found

    def title(self) -> str:
        config, (first, *others) = self.config, self.config.rules.split(",")
        examples = f"{config.data}, {len(self.data.x_train)} examples, {config.backend}"
        return f"{len(others) + 1} rules along {first.strip()} on {examples}"

    def callbacks(self) -> list[Callback]:
        return [Numbers(self)]

    def figures(self) -> dict[str, Figure]:
        return {"comparison": plots.comparison(self.comparison)}


class Numbers(Callback):
    """Writes the table of the comparison after each epoch, and when the run is interrupted."""

    order = 2

    def __init__(self, run: Comparison) -> None:
        self.run = run

    def epoch(self, loop: Loop) -> None:
        self.run.comparison.save(self.run.folder / NUMBERS)

    def interrupted(self, loop: Loop) -> None:
        self.epoch(loop)
