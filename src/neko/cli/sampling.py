"""``neko sample``."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.markup import escape
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
    backend: common.Backend = None,
    processor: common.Processor = None,
    batch_size: common.BatchSize = 1000,
    seed: common.Seed = 0,
    figure: common.Figure = Path("runs/posterior.png"),
    checkpoints: Annotated[
        Path | None, typer.Option(help="Keep the chains in this folder, and go on from what is there.")
    ] = None,
    checkpoint_every: Annotated[int, typer.Option(min=1, help="Epochs between two checkpoints.")] = 100,
) -> None:
    """Sample a spiking network's weights from their posterior, and show what it is unsure about.

    Each chain starts from weights that Adam found. With --checkpoints Adam and the chains are kept, and the same
    command goes on with them after Ctrl-C, a crash or a reboot; with more --epochs it makes the chains longer.
    """
    from neko import Trainer, plots
    from neko.bayes import SAMPLERS, posterior
    from neko.io import checkpoint, files
    from neko.runs.folder import evaluator_of
    from neko.training.pairs import resolve

    common.check_outputs(figure)
    if checkpoints is not None:
        files.prepare(checkpoints)
    posterior.scipy_stats()  # which the summary needs: better missed now than after the chains
    chosen: Any = SAMPLERS.get(sampler)
    driving = resolve(drift)
    made = common.backend_of(backend, processor)
    loaded = common.load_classes(data)
    labels = loaded.y_test.argmax(axis=-1)
    models = [
        evaluator_of(loaded, cell, hidden, made, seed + c, recurrent=recurrent, target=target) for c in range(chains)
    ]
    way = "with --checkpoints the next run can go on" if checkpoints is None else "the same command goes on"
    try:
        for c, each in enumerate(models):
            kept = kept_in(None if checkpoints is None else checkpoints / f"adam-{c}", checkpoint_every)
            common.tell(f"Adam before chain {c + 1} of {chains}: {pretrain} epochs")
            train(each, loaded, driving, pretrain, learning_rate, seed, kept)
    except KeyboardInterrupt:
        common.stopped(f"in the Adam before chain {c + 1} of {chains}; {way}")
    adam = [model.evaluate(loaded.x_test, loaded.y_test)["accuracy"] for model in models]
    model = models[0]
    rule = chosen(
        model,
        drift=driving,
        prior=fan_in_prior(model.params, prior),
        starts=[each.params for each in models],
        x_pred=loaded.x_test,
        warmup=warmup,
        thinning=thinning,
        step_size=step_size,
        seed=seed,
    )
    trainer = Trainer(rule)
    anew = checkpoints is None or not checkpoint.listed(checkpoints)
    common.tell(f"{sampler} with {chains} chain{'s' if chains > 1 else ''}: {epochs} epochs, {warmup} of them warm-up")
    begin = time.perf_counter()
    try:
        trainer.train(
            loaded.x_train,
            loaded.y_train,
            epochs=epochs,
            batch_size=batch_size,
            shuffle=False,
            callbacks=kept_in(checkpoints, checkpoint_every),
        )
    except KeyboardInterrupt:
        common.stopped(f"after {rule.epochs} of {epochs} epochs; {way}")
    seconds = (time.perf_counter() - begin) / (epochs * chains) if anew else None
    found = rule.posterior
    print_summary(data, found, labels, adam, seconds)
    x = loaded.x_test.reshape(len(loaded.x_test), -1)
    common.save_figure(plots.posterior(rule, x, labels), figure)


def kept_in(folder: Path | None, every: int) -> list[Any]:
    """The callbacks that keep a run in a folder and go on from there, where there is one."""
    from neko import Checkpoints

    return [] if folder is None else [Checkpoints(folder, every=every, keep=1, resume=True)]


def train(model: Any, data: Any, rule: Any, epochs: int, learning_rate: float, seed: int, callbacks: list[Any]) -> None:
    """Adam, for the point where a chain starts."""
    from neko import Trainer

    model.build(data.x_train)
    if epochs:
        trainer = Trainer(rule(model, learning_rate=learning_rate))
        trainer.train(data.x_train, data.y_train, epochs=epochs, seed=seed, callbacks=callbacks)


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
        if importlib.util.find_spec("arviz") is None:
            rows["R-hat"] = "needs ArviZ: pip install 'neko-learning[bayes]'"
        else:
            rhat = found.rhat()
            rows["R-hat, largest"] = ", ".join(f"{name} {np.nanmax(value):.2f}" for name, value in rhat.items())
    table = Table("measure", "value", title=f"Posterior on the test set of {data}")
    for row in rows.items():
        table.add_row(*map(escape, row))
    console.print(table)
