"""``neko demo``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from neko.cli import common
from neko.cli.common import console
from neko.cli.options import build_option
from neko.cli.tables import measured

EXAMPLES = 6
"""Number of test digits shown to the network in the figure."""


def demo(
    backend: Annotated[str | None, build_option("backend")] = None,
    processor: Annotated[str | None, build_option("processor")] = None,
    epochs: Annotated[int, build_option("epochs")] = 20,
    seed: Annotated[int, build_option("seed")] = 0,
    figure: Annotated[Path, typer.Option(help="Write the figure here.")] = Path("runs/demo.png"),
) -> None:
    """Train spiking neurons with e-prop on real digits, beside backpropagation through time; about half a minute."""
    from neko import backend as backends
    from neko import datasets, plots
    from neko.experiments import digits
    from neko.io import files

    plots.format_of(figure)
    if figure.is_dir():
        raise IsADirectoryError(f"{figure} is a folder: expected a file to write")
    files.prepare(figure.parent)
    made = backends.get(backend or backends.default(), device=processor)
    data = digits.shown(datasets.load("digits").one_hot())
    histories, rows, trained = {}, [], None
    for title, rule in digits.RULES.items():
        console.print(
            f"[bold]{title}[/bold]: ALIF({digits.NEURONS}) on {len(data.x_train)} training digits, {made.name}"
        )
        trainer = digits.build_trainer(data, rule, made, epochs, seed)
        begin = time.perf_counter()
        test = (data.x_test, data.y_test)
        trainer.train(
            data.x_train, data.y_train, epochs=epochs, batch_size=digits.BATCH_SIZE, seed=seed, validation=test
        )
        histories[title] = trainer.history
        rows.append((title, trainer.history, time.perf_counter() - begin))
        trained = trained or trainer.rule.model.model
    title, history, _ = logistic = digits.logistic_regression(data)
    measured("Test set of scikit-learn's digits", [*rows, logistic])
    stream = data.x_test[:EXAMPLES].reshape(EXAMPLES * digits.STEPS, -1)
    onsets = {
        float(i * digits.STEPS): f"digit {digit}" for i, digit in enumerate(data.y_test[:EXAMPLES].argmax(axis=-1))
    }
    levels = {title: history["val_accuracy"][-1]}
    drawn = plots.overview(histories, trained, stream, "val_accuracy", levels=levels, onsets=onsets)
    common.say(f"Figure: {plots.save(drawn, figure)}")
