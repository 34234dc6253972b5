"""The run of ``neko train``: a learning rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from neko import plots
from neko.devices import DifferentialPair, SingleDevice
from neko.io import checkpoint
from neko.objective import FiringRate
from neko.runs.build import build_evaluator, optimizer_options
from neko.runs.folder import CHECKPOINTS, HISTORY, RUNS, Run
from neko.training.callbacks import Callback, EarlyStopping
from neko.training.history import History
from neko.training.pairs import resolve


@RUNS.register("train")
class Training(Run):
    """A network trained by a learning rule, evaluated on the test set after each epoch."""

    def learner(self) -> Any:
        config = self.config
        regularizer = None if config.firing_rate is None else FiringRate(target=config.firing_rate)
        model = build_evaluator(config, self.data, regularizer=regularizer)
        return resolve(config.rule)(model, clip_norm=config.clip_norm, **optimizer_options(config))

    def title(self) -> str:
        return f"{self.config.rule} on {self.config.data}, {len(self.data.x_train)} examples, {self.config.backend}"

    def options(self) -> dict[str, Any]:
        data = self.data
        return {"validation": (data.x_test, data.y_test, data.mask_test)}

    def callbacks(self) -> list[Callback]:
        patience = self.config.patience
        return [] if patience is None else [EarlyStopping("val_loss", patience=patience)]

    def figures(self) -> dict[str, Figure]:
        history = History.load(self.folder / HISTORY)
        if not history.epochs:
            raise ValueError(f"{self.folder} has no finished epoch to show: expected one at least")
        curves = Figure(figsize=(5, 3.6), layout="constrained")
        measure = "val_accuracy" if "val_accuracy" in history else "val_loss"
        plots.learning_curves(curves.subplots(), {self.config.rule: history}, measure)
        held = devices(self.folder, "g")
        return {"learning_curves": curves} | ({"conductances": plots.conductances(held)} if held else {})


def devices(folder: Path, field: str) -> dict[str, dict[str, Any]]:
    """A field of the devices in the last checkpoint by parameter and device; empty if no device holds the weights."""
    found = checkpoint.listed(folder / CHECKPOINTS)
    update = checkpoint.read(found[-1])["learner"]["update"] if found else None
    stores = update.get("stores") if isinstance(update, dict) else None
    return {name: labelled([d[field] for d in stored["devices"]]) for name, stored in (stores or {}).items()}


def labelled(arrays: list[Any]) -> dict[str, Any]:
    """Arrays of the devices of a weight by what figures call them."""
    kind = SingleDevice if len(arrays) == 1 else DifferentialPair
    return dict(zip(kind.labels, arrays, strict=True))
