"""``neko compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from neko.cli import common
from neko.cli.common import console


def compare(
    rules: Annotated[str, typer.Option(help="Rules by comma; the first one trains.")] = (
        "bptt,eprop:symmetric,eprop:random,eprop:adaptive"
    ),
    data: common.Data = "digits",
    cell: common.Cell = "alif",
    hidden: common.Hidden = 128,
    backend: common.Backend = "torch",
    epochs: common.Epochs = 3,
    batch_size: common.BatchSize = 128,
    learning_rate: common.Rate = 1e-3,
    every: Annotated[int, typer.Option(min=1, help="Batches between two comparisons.")] = 1,
    reference: Annotated[str | None, typer.Option(help="Rule that the others are held against.")] = None,
    seed: common.Seed = 0,
    figure: common.Figure = Path("runs/compare.png"),
    csv: Annotated[Path | None, typer.Option(help="Write the numbers here.")] = Path("runs/compare.csv"),
) -> None:
    """Train with one rule and follow how the gradients of others deviate: the paper's figure 4."""
    from neko import plots
    from neko import rules as registry
    from neko.compare import ALL, FIELDS, GradientComparison
    from neko.run import evaluator_of

    with common.plain_errors():
        common.check_outputs(figure, csv)
        loaded = common.load_data(data)
        model = evaluator_of(loaded, cell, hidden, backend, seed)
        first, *others = rules.split(",")
        primary = registry.resolve(first)(model, learning_rate=learning_rate)
        followed = GradientComparison(primary, others, reference=reference, every=every)
        followed.train(
            loaded.x_train, loaded.y_train, loaded.mask_train, epochs=epochs, batch_size=batch_size, seed=seed
        )
        table = Table(title=f"Gradients against {followed.reference}, all tensors, mean over the batches")
        table.add_column("rule", no_wrap=True)
        for field in FIELDS:
            table.add_column(field.replace("_", " "), justify="right")
        means = {field: followed.mean(field, ALL) for field in FIELDS}
        for rule in followed.histograms:
            table.add_row(rule, *(f"{means[field][rule]:.4f}" for field in FIELDS))
        console.print(table)
        if csv is not None:
            console.print(f"Numbers: {followed.save(csv)}")
        common.save_figure(plots.comparison(followed), figure)
