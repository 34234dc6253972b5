"""``neko compare``."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

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
    backend: common.Backend = None,
    processor: common.Processor = None,
    epochs: common.Epochs = 3,
    batch_size: common.BatchSize = 128,
    learning_rate: common.Rate = 1e-3,
    every: Annotated[int, typer.Option(min=1, help="Batches between two comparisons.")] = 1,
    reference: Annotated[str | None, typer.Option(help="Rule that the others are held against.")] = None,
    seed: common.Seed = 0,
    figure: common.Figure = Path("runs/compare.png"),
    csv: Annotated[Path | None, typer.Option(help="Write the numbers here.")] = Path("runs/compare.csv"),
) -> None:
    """Train with one rule and follow how the gradients of others deviate: the paper's figure 4.

    The table has the hidden weights, by layer and kind; the readout, which every rule trains alike, is apart. After
    Ctrl-C it is of what was compared until then.
    """
    from neko import Trainer, plots
    from neko.runs.folder import evaluator_of
    from neko.training.comparison import GradientComparison
    from neko.training.pairs import resolve

    common.check_outputs(figure, csv)
    made = common.backend_of(backend, processor)
    loaded = common.load_data(data)
    model = evaluator_of(loaded, cell, hidden, made, seed)
    first, *others = (rule.strip() for rule in rules.split(","))
    primary = resolve(first)(model, learning_rate=learning_rate)
    followed = GradientComparison(primary, others, reference=reference, every=every)
    common.tell(f"{len(others) + 1} rules along {followed.name} on {data}, {len(loaded.x_train)} examples, {made.name}")
    stopped = False
    try:
        Trainer(followed).train(
            loaded.x_train, loaded.y_train, loaded.mask_train, epochs=epochs, batch_size=batch_size, seed=seed
        )
    except KeyboardInterrupt:
        stopped = True
        if not followed.records:
            common.stopped("before the first comparison; nothing is kept")
    print_deviations(followed)
    if csv is not None:
        common.say(f"Numbers: {followed.save(csv)}")
    common.save_figure(plots.comparison(followed), figure)
    if stopped:
        common.stopped(f"after {followed.batches} batches; this is of what was compared until then")


def print_deviations(followed: Any) -> None:
    """How every rule deviates from the reference: by layer and kind of weight, and the readout apart."""
    from neko.training.deviations import HIDDEN, READOUT, is_readout

    found = dict.fromkeys(row["tensor"] for row in followed.records)
    tensors = sorted(found.keys() - {HIDDEN, READOUT})
    hidden = [tensor for tensor in tensors if not is_readout(tensor)]
    title = f"Gradients against {followed.reference}"
    console.print(table_of(title, followed, [*hidden, HIDDEN] if len(hidden) > 1 else hidden))
    readout = [tensor for tensor in tensors if is_readout(tensor)]
    if readout:
        console.print(table_of(f"The readout against {followed.reference}", followed, readout))


def table_of(title: str, followed: Any, tensors: Iterable[str]) -> Table:
    """Means over all comparisons, a row per tensor and rule."""
    from neko.training.deviations import FIELDS

    table = Table("weights", "rule", title=title, title_justify="left")
    for field in FIELDS:
        table.add_column(field.replace("_", " "), justify="right")
    for tensor in tensors:
        means = {field: followed.mean(field, tensor) for field in FIELDS}
        for rule in followed.histograms:
            if rule != followed.reference:
                numbers = (means[field][rule] for field in FIELDS)
                table.add_row(tensor, rule, *("-" if math.isnan(n) else f"{n:.4f}" for n in numbers))
        table.add_section()
    return table
