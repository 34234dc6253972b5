"""``neko demo``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from neko.cli import common
from neko.cli.common import console
from neko.cli.training import print_table


def demo(
    backend: common.Backend = "torch",
    epochs: common.Epochs = 45,
    seed: common.Seed = 0,
    figure: Annotated[Path, typer.Option(help="Write the figure here.")] = Path("runs/demo.png"),
) -> None:
    """Train ALIF neurons with e-prop on real digits, beside backpropagation through time; about a minute."""
    from neko import Trainer, plots, rules
    from neko.run import evaluator_of

    with common.plain_errors():
        common.check_outputs(figure)
        data = common.load_data("digits")
        # Eight rows are eight steps; shown for 4 ms each they give the neurons time to integrate.
        data = data._replace(x_train=data.x_train.repeat(4, axis=1), x_test=data.x_test.repeat(4, axis=1))
        histories, rows, shown = {}, [], None
        for title, rule in (("e-prop", "eprop"), ("BPTT", "bptt")):
            console.print(f"[bold]{title}[/bold]: ALIF(64) on the {len(data.x_train)} training digits, {backend}")
            model = evaluator_of(data, "alif", 64, backend, seed)
            trainer = Trainer(rules.resolve(rule)(model, learning_rate=5e-3))
            begin = time.perf_counter()
            test = (data.x_test, data.y_test)
            trainer.train(data.x_train, data.y_train, epochs=epochs, batch_size=32, seed=seed, validation=test)
            histories[title] = trainer.history
            rows.append((title, trainer.history, time.perf_counter() - begin))
            shown = shown or model.model
        print_table("Test set of scikit-learn's digits", rows)
        common.save_figure(plots.overview(histories, shown, data.x_test[0], "val_accuracy"), figure)
