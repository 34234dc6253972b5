"""Stop when a measure no longer improves."""

from __future__ import annotations

import math
from typing import Any

from neko import identity
from neko.arguments import check_choice, check_integer, is_real, plain
from neko.errors import CheckpointError
from neko.io import snapshot
from neko.training.callbacks.base import Callback
from neko.training.loop import Loop

GROWS = ("accuracy", "auroc", "top_")
"""Measures with one of these in their name are better the higher they are."""


class EarlyStopping(Callback):
    """Stops when a measure has not improved for a number of epochs.

    Parameters
    ----------
    measure : str
        A name of the history, for example ``'val_loss'``.
    patience : int
        Epochs without an improvement after which the run stops.
    min_delta : float
        Smallest change that counts as an improvement.
    mode : {'min', 'max'}, optional
        Which is better; by default 'max' for accuracies, else 'min'.
    restore_best : bool
        Whether the model gets the parameters of the best epoch at the end.
    """

    def __init__(
        self,
        measure: str = "val_loss",
        *,
        patience: int = 5,
        min_delta: float = 0.0,
        mode: str | None = None,
        restore_best: bool = False,
    ) -> None:
        if not isinstance(measure, str):
            raise TypeError(f"measure={measure!r}: expected a name of the history, for example 'val_loss'")
        self.patience = check_integer("patience", patience)
        if not (is_real(min_delta) and min_delta >= 0.0):
            raise ValueError(f"min_delta={min_delta!r}: expected a number of at least 0")
        if mode is not None:
            check_choice("mode", mode, ("min", "max"))
        self.measure = measure
        self.min_delta = plain(min_delta)
        grows = any(name in measure for name in GROWS)
        self.sign = -1.0 if mode == "max" or (mode is None and grows) else 1.0
        self.restore_best = restore_best
        self.best = math.inf
        self.waited = 0
        self.weights: Any = None

    def begin(self, loop: Loop) -> None:
        self.best, self.waited, self.weights = math.inf, 0, None

    def epoch(self, loop: Loop) -> None:
        if self.measure not in loop.history:
            raise ValueError(f"measure={self.measure!r}: the history has {sorted(loop.history)!r}")
        value = self.sign * loop.history[self.measure][-1]
        if value < self.best - self.min_delta:
            self.best, self.waited = value, 0
            if self.restore_best:
                self.weights = snapshot.exported(loop.model.xp, loop.model.params)
        else:
            self.waited += 1
            if self.waited >= self.patience:
                best = self.sign * self.best
                loop.stop(f"{self.measure} has not been better than {best:.4g} for {self.patience} epochs")

    def end(self, loop: Loop) -> None:
        if self.weights is not None:
            xp = loop.model.xp
            with xp.scope():
                loop.model.params = snapshot.loaded(xp, loop.model.params, self.weights, "best parameters")

    def identity(self) -> dict[str, Any]:
        return identity.options_of(self, ("measure", "patience", "min_delta", "sign", "restore_best"))

    def state(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited, "weights": self.weights}

    def restore(self, saved: dict[str, Any]) -> None:
        best, waited, weights = saved["best"], saved["waited"], saved["weights"]
        if type(best) not in (int, float) or type(waited) is not int or not isinstance(weights, dict | None):
            raise CheckpointError(f"early stopping has best={best!r}, waited={waited!r}: expected two numbers")
        self.best, self.waited, self.weights = best, waited, weights
