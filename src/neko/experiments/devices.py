"""The network of ``manhattan`` on devices that are worse and worse."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from matplotlib.figure import Figure

import neko
from neko.devices import PRESETS, Device, DifferentialPair, OneSidedPair, SingleDevice, Storage
from neko.devices.imperfections import Levels, Stuck
from neko.experiments.base import EXPERIMENTS, Trial
from neko.experiments.manhattan import by_torch
from neko.experiments.mnist import MnistExperiment
from neko.experiments.results import Results, Table
from neko.updates import Analog, Manhattan, MixedPrecision, schedules

PAPER = PRESETS["paper"]()
SIGN, SUMMED = "Manhattan", "accumulation"
W_MAX = 0.5
RATE, MOST = 5e-3, 10
"""Of Adam at the beginning; pulses to a device in an update."""
SECONDS = 0.1
"""From one update to the next, for devices that drift."""


def devices() -> dict[str, Device | Storage]:
    """The devices by name: the paper's material, rising imperfections of it, and every preset."""
    found: dict[str, Device | Storage] = {"the paper's material": PAPER}
    for noise in (0.3, 1.0, 3.0):
        found[f"noise, {noise:g} of a step"] = dataclasses.replace(PAPER, dg_min_std=noise)
    for asymmetry in (0.1, 0.3, 0.6):
        found[f"asymmetry, up_down {asymmetry:g}"] = dataclasses.replace(PAPER, up_down=asymmetry)
    for number in (2, 4, 16, 64, 256):
        few = dataclasses.replace(PAPER, imperfections=[Levels(number, stochastic=True)])
        found[f"levels, {number}, one device a weight"] = SingleDevice(few)
    for part in (0.01, 0.05, 0.2):
        found[f"stuck, {100 * part:g} %"] = dataclasses.replace(PAPER, imperfections=[Stuck(at_random=part)])
    for name in sorted(PRESETS):
        if name != "paper":
            found[f"preset {name}"] = OneSidedPair(PRESETS[name]()) if name == "pcm" else PRESETS[name]()
    return found


@EXPERIMENTS.register("devices")
class Devices(MnistExperiment):
    """What may be wrong with a device before weights that move by its pulses no longer learn MNIST?

    The 784-64-32-10 network of ``manhattan``, as a PyTorch module, with weights within ±0.5 in differential pairs. The
    paper's material, then with rising noise of every pulse, asymmetry of up and down steps, a part of the devices stuck
    at random conductances, or stochastic levels, of which a pair could not hold the small initial weights, and so one
    device a weight. Then every preset, phase-change memory in pairs of one-sided pulses, with 0.1 s from one update to
    the next where devices drift. Manhattan: a pulse by the sign of each gradient above 1e-4. Accumulation, the remedy:
    changes of Adam, at a rate that falls from 5e-3 to 0 by a cosine, are summed digitally and written in whole pulses
    (`MixedPrecision`), as many in an update as fit into that rate, at most ten. Test accuracy after the last epoch.
    Goes beyond the paper.
    """

    title = "MNIST on worse and worse devices"
    default_seeds = 3
    packages = ("torch",)

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"epochs": 1 if self.quick else 3, "batch size": 50 if self.quick else 500}

    def trials(self) -> list[Trial]:
        names = ["the paper's material", "levels, 2, one device a weight"] if self.quick else list(devices())
        ways = [(name, {"update": way}) for name in names for way in (SIGN, SUMMED)]
        return [Trial(name, seed, options) for seed in range(self.seeds) for name, options in ways]

    def measure(self, trial: Trial) -> dict[str, Any]:
        data, settings, way = self.data, self.settings(), trial.options["update"]
        x, x_test = (images.reshape(-1, 784) for images in (data.x_train, data.x_test))
        model = neko.Evaluator(by_torch(trial.seed), loss="categorical_crossentropy", metrics=["accuracy"])
        steps = settings["epochs"] * len(x) // settings["batch size"]
        update = written(way, devices()[trial.row], steps, trial.seed)
        history = neko.Trainer(neko.BPTT(model, optimizer=update)).train(
            x,
            data.y_train,
            epochs=settings["epochs"],
            batch_size=settings["batch size"],
            seed=trial.seed,
            validation=(x_test, data.y_test),
            progress=False,
        )
        return {f"{way} accuracy": history["val_accuracy"][-1], f"{way} pulses": history["pulses"][-1]}

    def table(self, results: Results) -> Table:
        reached = [
            results.column(f"{way}, test accuracy, %", f"{way} accuracy", ".1f", scale=100.0) for way in (SIGN, SUMMED)
        ]
        pulses = [results.column(f"{way}, pulses a device", f"{way} pulses", ".0f") for way in (SIGN, SUMMED)]
        return Table("devices", results.rows, reached + pulses)

    def notes(self, results: Results) -> str:
        return (
            "Three epochs are 360 updates. A device with thousands of steps (`ideal`, `ecram_mo`) moves little by one "
            "pulse in each; ten still lag behind the changes of Adam, which wait and come late. What limits these rows "
            "is the time, not the device."
        )

    def figures(self, results: Results) -> dict[str, Figure]:
        """Test accuracy by device."""
        figure = Figure(figsize=(7, 1.5 + 0.22 * len(results.rows)), layout="constrained")
        axes = figure.subplots()
        for way, marker in ((SIGN, "o"), (SUMMED, "D")):
            reached = [100.0 * results.values(row, f"{way} accuracy").mean() for row in results.rows]
            axes.plot(reached, range(len(reached)), marker, label=way)
        axes.set_yticks(range(len(results.rows)), results.rows)
        axes.invert_yaxis()
        axes.set(xlabel="test accuracy (%), mean of seeds", xlim=(0.0, 100.0))
        axes.grid(axis="x", alpha=0.3)
        axes.legend(frameon=False, fontsize="small")
        return {"accuracy": figure}


def written(way: str, device: Device | Storage, steps: int, seed: int) -> Analog:
    """The update of a row."""
    storage = device if isinstance(device, Storage) else DifferentialPair(device)
    seconds = SECONDS if storage.device.ages else None
    common: dict[str, Any] = {"device": storage, "w_max": W_MAX, "seconds": seconds, "seed": seed}
    if way == SIGN:
        return Manhattan(dead_zone=1e-4, **common)
    most = min(math.ceil(RATE / storage.weight_step(W_MAX)), MOST)
    return MixedPrecision(optimizer="adam", learning_rate=schedules.Cosine(RATE, steps), most=most, **common)
