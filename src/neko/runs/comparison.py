"""The run of ``neko compare``: one rule trains, and the gradients of others are compared with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from neko import plots
from neko.plots.pages import check_installed
from neko.registry import separated
from neko.runs.build import build_evaluator
from neko.runs.folder import RUNS, Run
from neko.training.callbacks import Callback
from neko.training.clones import name_of
from neko.training.comparison import TABLES, GradientComparison
from neko.training.loop import Loop
from neko.training.pairs import resolve

NUMBERS = "comparison"
"""Name of the table of all comparisons, without its suffix."""


@RUNS.register("compare")
class Comparison(Run):
    """How the gradients of rules deviate while one of them trains."""

    def learner(self) -> Any:
        config = self.config
        model = build_evaluator(config, self.data)
        first, *others = separated(config.rules)
        primary = resolve(first)(model, learning_rate=config.learning_rate)
        options = {"reference": config.reference, "every": config.every, "measure_costs": config.report is not None}
        return GradientComparison(primary, others, name=name_of(first, primary), **options)

    @property
    def comparison(self) -> GradientComparison:
        """The comparison that the run trains."""
        found: GradientComparison = self.trainer.rule  # type: ignore[assignment]
        return found

    def prepare(self, progress: bool) -> None:
        if self.config.report is not None:
            check_installed()

    def title(self) -> str:
        config, (first, *others) = self.config, separated(self.config.rules)
        examples = f"{config.data}, {len(self.data.x_train)} examples, {config.backend}"
        return f"{len(others) + 1} rules along {first} on {examples}"

    def callbacks(self) -> list[Callback]:
        return [Numbers(self)]

    def measures(self) -> dict[str, float]:
        """Also the mean cosine of each rule's gradient of all hidden weights to that of the reference."""
        cosines = self.comparison.mean("cosine")
        return super().measures() | {f"cosine {rule}": value for rule, value in cosines.items()}

    def figures(self) -> dict[str, Figure]:
        return {"comparison": plots.comparison(self.comparison)}

    def draw(self) -> list[Path]:
        """Write the figures; with a report also its page, and its tables into the folder, as CSV and Parquet."""
        drawn = super().draw()
        if self.config.report is not None:
            drawn.append(plots.report(self.comparison, self.config.report))
            for table in TABLES:
                name = NUMBERS if table == "records" else table
                for suffix in ("csv", "parquet"):
                    self.comparison.save(self.folder / f"{name}.{suffix}", table)
        return drawn


class Numbers(Callback):
    """Writes the table of the comparison after each epoch, and when the run is interrupted."""

    order = 2

    def __init__(self, run: Comparison) -> None:
        self.run = run

    def epoch(self, loop: Loop) -> None:
        self.run.comparison.save(self.run.folder / f"{NUMBERS}.csv")

    def interrupted(self, loop: Loop) -> None:
        self.epoch(loop)
