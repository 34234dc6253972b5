"""``neko sample``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from neko.cli import common
from neko.cli.common import console


def sample(
    data: common.Data = "mnist1d-step",
    sampler: Annotated[str, typer.Option(help="langevin, hmc or sgld.")] = "langevin",
    drift: Annotated[str, typer.Option(help="Rule whose gradient drives the sampler.")] = "eprop",
    cell: common.Cell = "lif",
    hidden: common.Hidden = 1000,
    recurrent: common.Recurrent = False,
    chains: Annotated[int, typer.Option(min=1, help="Number of chains.")] = 2,
    pretrain: Annotated[int, typer.Option(min=0, help="Epochs of Adam from which each chain starts.")] = 40,
    epochs: common.Epochs = 1500,
    warmup: Annotated[int, typer.Option(min=0, help="Epochs that adapt the step size and leave no draw.")] = 1200,
    thinning: Annotated[int, typer.Option(min=1, help="Epochs between two draws.")] = 5,
    target: common.Target = "every",
    prior: Annotated[float, typer.Option(help="Standard deviation of weights onto one neuron, all together.")] = 5.0,
    step_size: Annotated[float, typer.Option(help="Step size at the start.")] = 1e-7,
    learning_rate: Annotated[float, typer.Option(help="Rate of Adam.")] = 1e-3,
    backend: common.Backend = "torch",
    batch_size: common.BatchSize = 1000,
    seed: common.Seed = 0,
    figure: common.Figure = Path("runs/posterior.png"),
    checkpoints: Annotated[
        Path | None, typer.Option(help="Keep the chains in this folder, and go on from what is there.")
    ] = None,
    checkpoint_every: Annotated[int, typer.Option(min=1, help="Epochs between two checkpoints.")] = 100,
) -> None:
    """Sample a spiking network's weights from their posterior, and show what it is unsure about."""
    from neko import Checkpoints, Trainer, atomic, checkpoint, plots, rules
    from neko.run import evaluator_of

    with common.plain_errors():
        common.check_outputs(figure)
        if checkpoints is not None:
            atomic.prepare(checkpoints)
        loaded = common.load_classes(data)
        labels = loaded.y_test.argmax(axis=-1)
        models = [
            evaluator_of(loaded, cell, hidden, backend, seed + c, recurrent=recurrent, target=target)
            for c in range(chains)
        ]
        for each in models:
            train(each, loaded, drift, pretrain, learning_rate, seed)
        adam = [model.evaluate(loaded.x_test, loaded.y_test)["accuracy"] for model in models]
        model = models[0]
        made: Any = rules.get_sampler(sampler)
        rule = made(
            model,
            drift=rules.resolve(drift),
            prior=fan_in_prior(model.params, prior),
            starts=[each.params for each in models],
            x_pred=loaded.x_test,
            warmup=warmup,
            thinning=thinning,
            step_size=step_size,
            seed=seed,
        )
        trainer = Trainer(rule)
        kept = [] if checkpoints is None else [Checkpoints(checkpoints, every=checkpoint_every, keep=1, resume=True)]
        anew = checkpoints is None or not checkpoint.files(checkpoints)
        begin = time.perf_counter()
        try:
            trainer.train(
                loaded.x_train, loaded.y_train, epochs=epochs, batch_size=batch_size, shuffle=False, callbacks=kept
            )
        except KeyboardInterrupt:
            way = "with --checkpoints the next run can go on" if checkpoints is None else "the same command goes on"
            console.print(f"Stopped after {rule.epochs} of {epochs} epochs; {way}.", soft_wrap=True)
            raise typer.Exit(130) from None
        seconds = (time.perf_counter() - begin) / (epochs * chains) if anew else None
        found = rule.posterior
        print_summary(data, found, labels, adam, seconds)
        x = loaded.x_test.reshape(len(loaded.x_test), -1)
        common.save_figure(plots.posterior(rule, x, labels), figure)


def train(model: Any, data: Any, rule: str, epochs: int, learning_rate: float, seed: int) -> None:
    """Adam, for the point where a chain starts."""
    from neko import Trainer, rules

    model.build(data.x_train)
    if epochs:
        console.print(f"Adam, {epochs} epochs")
        trainer = Trainer(rules.resolve(rule)(model, learning_rate=learning_rate))
        trainer.train(data.x_train, data.y_train, epochs=epochs, seed=seed, progress=False)


def fan_in_prior(params: dict[str, Any], scale: float) -> dict[str, float]:
    """Standard deviation of each parameter: ``scale / √(rows)`` for a matrix, `scale` for a bias."""
    return {name: scale / float(np.sqrt(w.shape[0])) if len(w.shape) == 2 else scale for name, w in params.items()}


def print_summary(data: str, found: Any, labels: np.ndarray, adam: list[float], seconds: float | None) -> None:
    """What the posterior is worth on the test set, and how its chains mixed."""
    values = found.mean_cross_entropy()
    right = found.mean_prediction.argmax(axis=-1) == labels
    rows = {
        "accuracy of the posterior mean": f"{100 * found.accuracy(labels):.1f} %",
        "accuracy after Adam, by chain": ", ".join(f"{100 * a:.1f} %" for a in adam),
        "negative log likelihood": f"{found.negative_log_likelihood(labels):.3f}",
        "calibration error": f"{found.calibration_error(labels):.3f}",
        "uncertainty, right and wrong": f"{values[right].mean():.3f}, {values[~right].mean():.3f} nats",
        "rank test, wrong above right": f"p = {found.error_rank_test(labels):.1e}",
        "AUROC of uncertainty for errors": f"{found.error_auroc(labels):.3f}",
        "acceptance after warm-up": f"{np.mean(found.acceptance):.3f}",
        "step size": ", ".join(f"{size:.2e}" for size in found.step_size),
        "draws": " x ".join(str(n) for n in found.logdensity.shape),
    }
    if seconds is not None:
        rows["seconds a transition"] = f"{seconds:.3f}"
    # fewer draws have no R-hat
    if len(found.step_size) > 1 and found.logdensity.shape[1] >= 4:
        rhat = found.rhat()
        rows["R-hat, largest"] = ", ".join(f"{name} {np.nanmax(value):.2f}" for name, value in rhat.items())
    table = Table("measure", "value", title=f"Posterior on the test set of {data}")
    for row in rows.items():
        table.add_row(*row)
    console.print(table)
