"""e-prop with pulses to analog devices, on MNIST."""

from __future__ import annotations

from typing import Any

import neko
from neko.devices import SoftBounds
from neko.experiments.base import EXPERIMENTS, Trial
from neko.experiments.mnist import MnistExperiment
from neko.experiments.results import Column, Interval, Results, Table

ADAM = "no devices, Adam"
DEVICES = {
    "ideal": SoftBounds(dg_min=5e-7),
    "30 % noise of each pulse": SoftBounds(dg_min=5e-7, dg_min_std=0.3),
    "and 30 % spread of the steps from device to device": SoftBounds(dg_min=5e-7, dg_min_std=0.3, dg_min_dtod=0.3),
}


@EXPERIMENTS.register("eprop_devices")
class EpropDevices(MnistExperiment):
    """What does e-prop lose when analog devices hold the weights and pulses change them?

    The network of Listing 1, ALIF-128 on the rows of MNIST images, symmetric e-prop, batches of 128. Two devices with
    soft bounds and 4,000 steps hold a weight within ±3; gradients in the dead zone of 1e-3 make no pulse, since soft
    bounds forget a little with each one. Beside it Adam at 1e-3. Goes beyond the paper, whose devices learn by
    backpropagation (``manhattan``).
    """

    title = "e-prop with pulses to analog devices"
    default_seeds = 3

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"epochs": 1 if self.quick else 10}

    def trials(self) -> list[Trial]:
        return [Trial(row, seed) for seed in range(self.seeds) for row in (ADAM, *DEVICES)]

    def measure(self, trial: Trial) -> dict[str, Any]:
        held = {}
        if trial.row != ADAM:
            pulses = neko.Manhattan(device=DEVICES[trial.row], w_max=3.0, dead_zone=1e-3, seed=trial.seed)
            held = {"optimizer": pulses}
        return self.train(neko.Eprop(self.spiking(trial.seed), **held), trial.seed)

    def table(self, results: Results) -> Table:
        best = [Interval.of(100.0 * results.values(row, "accuracy").max(axis=1)) for row in results.rows]
        pulses = [results.values(row, "pulses") for row in results.rows]
        columns = [
            Column("best test accuracy, %", best, ".1f"),
            *self.by_epoch(results, "%", "accuracy", scale=100.0)[-1:],
            Column("pulses a device", [Interval.of(found[:, -1]) if len(found) else None for found in pulses], ".0f"),
        ]
        return Table("devices", results.rows, columns)

    def notes(self, results: Results) -> str:
        return (
            "The sign update and the soft bounds cost accuracy, noise of the pulses hardly any more, and a spread of "
            "the steps from device to device most of all: each device has its own symmetry point, to which opposite "
            "pulses drive it."
        )
