"""Tables that are printed at the end of a run."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from rich.markup import escape
from rich.table import Table

from neko.cli.common import console, say


def training(run: Any) -> None:
    """Test measures of a run of ``neko train``."""
    measured(f"Test set of {run.config.data}", [(run.config.rule, run.trainer.history, run.seconds)])


def measured(title: str, rows: list[tuple[str, dict[str, list[float]], float]]) -> None:
    """Test measures after the last epoch, a row per run; metrics that were asked for have columns of their own."""
    usual = ("accuracy", "loss", "firing_rate")
    named = [measure.removeprefix("val_") for _, history, _ in rows for measure in history if measure[:4] == "val_"]
    others = [name for name in dict.fromkeys(named) if name not in usual]
    table = Table(title=title)
    for column in (
        "rule",
        "test accuracy",
        "test loss",
        "firing rate",
        *(f"test {name}" for name in others),
        "seconds",
    ):
        table.add_column(column, justify="left" if column == "rule" else "right")
    for name, history, seconds in rows:
        accuracy, rate = (history.get(f"val_{measure}", [np.nan])[-1] for measure in ("accuracy", "firing_rate"))
        table.add_row(
            name,
            "–" if np.isnan(accuracy) else f"{100 * accuracy:.1f} %",
            f"{history['val_loss'][-1]:.3f}",
            "–" if np.isnan(rate) else f"{rate:.0f} Hz",
            *(f"{history[f'val_{name}'][-1]:.3f}" for name in others),
            f"{seconds:.0f}",
        )
    console.print(table)


def sampling(run: Any) -> None:
    """Accuracy and uncertainty of the posterior on the test set, and whether its chains agree."""
    data, learner = run.data, run.trainer.rule
    found, labels = learner.posterior, data.y_test.argmax(axis=-1)
    adam = [np.mean(start.predict(data.x_test).argmax(axis=-1) == labels) for start in run.starts]
    values, right = found.mean_cross_entropy(), found.right(labels)
    rows = {
        "accuracy of the posterior mean": f"{100 * found.accuracy(labels):.1f} %",
        "accuracy after Adam, by chain": ", ".join(f"{100 * a:.1f} %" for a in adam),
        "negative log likelihood": f"{found.negative_log_likelihood(labels):.3f}",
        "Brier score": f"{found.brier_score(labels):.3f}",
        "calibration error": beside(found.calibration_error(labels), found.calibrated_error()),
        "uncertainty, right and wrong": f"{values[right].mean():.3f}, {values[~right].mean():.3f} nats",
        "rank test, wrong above right": f"p = {found.error_rank_test(labels):.1e}",
        "AUROC of uncertainty for errors": beside(found.error_auroc(labels), found.calibrated_auroc()),
        "likelihood power, temperature": f"{found.power:g}, {found.temperature:g}",
        "draws": " x ".join(str(n) for n in found.logdensity.shape),
    }
    if not np.isnan(found.acceptance).all():
        rows["acceptance after warm-up"] = f"{np.nanmean(found.acceptance):.3f}"
    if not np.isnan(found.step_size).all():
        rows["step size"] = ", ".join(f"{size:.2e}" for size in found.step_size)
    if run.epochs:
        rows["seconds an epoch"] = f"{run.seconds / run.epochs:.3f}"
    table = Table("measure", "value", title=f"Posterior on the test set of {escape(run.config.data)}")
    for row in rows.items():
        if row[1]:
            table.add_row(*map(escape, row))
    console.print(table)
    if len(found.step_size) > 1:
        missing = importlib.util.find_spec("arviz") is None
        say(
            "whether chains agree needs ArviZ: pip install 'neko-learning[bayes]'"
            if missing
            else str(found.mixed(labels))
        )


def beside(value: float, expected: Any) -> str:
    """A measure beside that of a predictor which is calibrated."""
    return f"{value:.3f} (calibrated: {expected.mean:.3f}, {expected.low:.3f} to {expected.high:.3f})"


def comparison(run: Any) -> None:
    """Deviation of every rule from the reference, by layer and kind of weight, the readout in its own table."""
    from neko.training.deviations import HIDDEN, READOUT, is_readout

    followed = run.comparison
    found = dict.fromkeys(row["tensor"] for row in followed.records)
    tensors = sorted(found.keys() - {HIDDEN, READOUT})
    hidden = [tensor for tensor in tensors if not is_readout(tensor)]
    title = f"Gradients against {followed.reference}"
    console.print(deviations(title, followed, [*hidden, HIDDEN] if len(hidden) > 1 else hidden))
    readout = [tensor for tensor in tensors if is_readout(tensor)]
    if readout:
        console.print(deviations(f"The readout against {followed.reference}", followed, readout))
    for line in cautions(followed):
        say(line)


def cautions(followed: Any) -> Iterator[str]:
    """How close the control comes to the reference, and the flags of the network's activity."""
    from neko.training.activity import FLAGS
    from neko.training.deviations import HIDDEN

    control = followed.mean("control", HIDDEN).get(followed.reference)
    if control is not None:
        yield f"With targets permuted in the batch, {followed.reference} has a cosine of {control:.4f} to itself."
    for row in followed.statistics.layers():
        for flag in FLAGS:
            if row[flag]:
                yield f"{row['layer']}: {flag} in {100.0 * row[flag]:.0f} % of the comparisons."


def deviations(title: str, followed: Any, tensors: Iterable[str]) -> Table:
    """Means over all comparisons, a row per tensor and rule."""
    from neko.training.deviations import FIELDS

    table = Table("weights", "rule", title=title, title_justify="left")
    fields = [field for field in FIELDS if field != "angle"]  # which the cosine tells
    for field in fields:
        table.add_column(field.replace("_", " "), justify="right")
    for tensor in tensors:
        means = {field: followed.mean(field, tensor) for field in fields}
        for rule in followed.histograms:
            if rule != followed.reference:
                numbers = (means[field][rule] for field in fields)
                table.add_row(tensor, rule, *("-" if math.isnan(n) else f"{n:.4f}" for n in numbers))
        table.add_section()
    return table


RESULTS = {"train": training, "sample": sampling, "compare": comparison}
"""Function that prints the result of a run, by command."""
