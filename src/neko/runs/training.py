"""The run of ``neko train``: a learning rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from neko import plots
from neko.devices import DifferentialPair, SingleDevice
from neko.io import checkpoint
from neko.objective import FiringRate
from neko.runs.build import build_evaluator
from neko.runs.folder import CHECKPOINTS, RUNS, Run
from neko.runs.record import HISTORY
from neko.runs.updating import update_options
from neko.training.callbacks import Callback, Conductances, EarlyStopping
from neko.training.history import History
from neko.training.pairs import resolve
from neko.updates.analog import AnalogUpdate

HISTOGRAMS = "conductances.csv"
"""Of the devices' conductances, by epoch; see `neko.callbacks.Conductances`."""


@RUNS.register("train")
class Training(Run):
    """A network trained by a learning rule, evaluated on the test set after each epoch."""

    def learner(self) -> Any:
        config = self.config
        regularizer = None if config.firing_rate is None else FiringRate(target=config.firing_rate)
        model = build_evaluator(config, self.data, regularizer=regularizer)
        return resolve(config.rule)(model, clip_norm=config.clip_norm, **update_options(config))

    def title(self) -> str:
        return f"{self.config.rule} on {self.config.data}, {len(self.data.x_train)} examples, {self.config.backend}"

    def options(self) -> dict[str, Any]:
        data = self.data
        return {"validation": (data.x_test, data.y_test, data.mask_test)}

    def callbacks(self) -> list[Callback]:
        patience = self.config.patience
        rule: Any = self.trainer.rule
        return [
            *([] if patience is None else [EarlyStopping("val_loss", patience=patience)]),
            *([Conductances(self.folder / HISTOGRAMS)] if isinstance(rule.update, AnalogUpdate) else []),
        ]

    def figures(self) -> dict[str, Figure]:
        history = History.load(self.folder / HISTORY)
        if not history.epochs:
            raise ValueError(f"{self.folder} has no finished epoch to show: expected one at least")
        curves = Figure(figsize=(5, 3.6), layout="constrained")
        measure = "val_accuracy" if "val_accuracy" in history else "val_loss"
        plots.learning_curves(curves.subplots(), {self.config.rule: history}, measure)
        return {"learning_curves": curves} | devices(self.folder)


def devices(folder: Path) -> dict[str, Figure]:
    """Figures of the devices that hold the weights: their conductances by epoch and in the last checkpoint, and their
    pulses so far."""
    held = stores(folder)
    if not held:
        return {}
    figures = {
        "conductances": plots.conductances(shown(held, "g")),
        "pulses": plots.pulse_counts(shown(held, "pulses")),
    }
    if (folder / HISTOGRAMS).exists():
        figures["conductance_history"] = plots.conductance_history(Conductances.read(folder / HISTOGRAMS))
    return figures


def stores(folder: Path) -> dict[str, Any]:
    """What the last checkpoint has of devices, by what `AnalogUpdate.arrays` calls them; empty if there are none."""
    found = checkpoint.listed(folder / CHECKPOINTS)
    if not found:
        return {}
    with checkpoint.expected(found[-1]):
        return held_in(checkpoint.read(found[-1])["learner"]["update"])


def held_in(update: Any) -> dict[str, Any]:
    """What an update's state has of devices."""
    if not isinstance(update, dict) or "stores" not in update:
        return {}
    arrays = {}
    for name, stored in update["stores"].items():
        arrays[name] = stored
        own = update["own"][name]
        if isinstance(own, list) and own and isinstance(own[0], dict):  # of Tiki-Taka
            arrays[f"{name} (fast)"] = own[0]
    return arrays


def shown(held: dict[str, Any], field: str) -> dict[str, dict[str, Any]]:
    """A field of devices by what figures call them."""
    return {name: labelled([device[field] for device in stored["devices"]]) for name, stored in held.items()}


def labelled(arrays: list[Any]) -> dict[str, Any]:
    """Arrays of the devices of a weight by what figures call them."""
    kind = SingleDevice if len(arrays) == 1 else DifferentialPair
    return dict(zip(kind.labels, arrays, strict=True))
