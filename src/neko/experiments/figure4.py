"""Figure 4: the gradients of e-prop against those of BPTT."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import neko
from neko.experiments.base import EXPERIMENTS, Trial
from neko.experiments.mnist import MnistExperiment
from neko.experiments.results import Column, Results, Table
from neko.plots import colours
from neko.training.deviations import EDGES

BPTT, ADAPTIVE, DECAY = "BPTT", "adaptive e-prop", "adaptive e-prop, decay 1e-3"
RULES = ("eprop:symmetric", "eprop:random", "eprop:adaptive")
PAPER = {"eprop:symmetric": 1, "eprop:random": 2, "eprop:adaptive": 3}
"""Order of the paper's deviations from BPTT, the smallest first."""
EVERY = "batches between comparisons"
TENSORS = ("w_in", "w_rec")


@EXPERIMENTS.register("figure4")
class Figure4(MnistExperiment):
    """How far are the gradients of symmetric, random and adaptive e-prop from those of BPTT during training?

    ALIF-128 on the rows of MNIST images, Adam at 1e-3, batches of 128. One rule trains; every few batches all rules
    compute their gradient at its weights from its batch. The rule that trains is BPTT, adaptive e-prop, or adaptive
    e-prop with a decay of output and feedback weights. All start with the same feedback weights: random feedback keeps
    them, adaptive feedback goes on learning them.

    Relative deviation ‖g − r‖ / ‖r‖ of a gradient g from BPTT's r, and their cosine, as means over the comparisons of a
    run, for the weights that feedback trains. The paper's figure has no numbers: symmetric e-prop lies closest to BPTT,
    and adaptive e-prop deviates more than random.

    References
    ----------
    Z. Zhao et al., "Neko: a library for exploring neuromorphic learning rules", ICONS 2021, section 3.4, figure 4.
    """

    title = "Figure 4: gradients against BPTT"
    default_seeds = 10

    def settings(self) -> dict[str, Any]:
        own = {"epochs": 1, EVERY: 2} if self.quick else {"epochs": 2, EVERY: 20}
        return super().settings() | own

    def trials(self) -> list[Trial]:
        ways = (BPTT, ADAPTIVE) if self.quick else (BPTT, ADAPTIVE, DECAY)
        return [Trial(way, seed) for seed in range(self.seeds) for way in ways]

    def measure(self, trial: Trial) -> dict[str, Any]:
        data, settings = self.data, self.settings()
        model = neko.Evaluator(
            neko.ALIF(128, data.outputs, self.backend, seed=trial.seed), loss="categorical_crossentropy"
        )
        adaptive = functools.partial(neko.Eprop, mode="adaptive", feedback_seed=trial.seed)
        every = settings[EVERY]
        if trial.row == BPTT:
            followed = neko.GradientComparison(neko.BPTT(model), [*RULES[:2], adaptive], every=every)
        else:
            primary = adaptive(model, feedback_decay=1e-3 if trial.row == DECAY else 0.0)
            followed = neko.GradientComparison(
                primary, ["bptt", *RULES[:2]], reference="bptt", every=every, sync_feedback=False
            )
        neko.Trainer(followed).train(
            data.x_train, data.y_train, epochs=settings["epochs"], seed=trial.seed, progress=False
        )
        measures: dict[str, Any] = {}
        for rule in RULES:
            for tensor in TENSORS:
                name = f"layers.0.{tensor}"
                rows = [row for row in followed.records if row["rule"] == rule and row["tensor"] == name]
                for field in ("relative", "cosine"):
                    measures[f"{rule} {tensor} {field}"] = followed.mean(field, name)[rule]
                measures[f"{rule} {tensor} over batches"] = [row["relative"] for row in rows]
                measures[f"{rule} {tensor} cosine over batches"] = [row["cosine"] for row in rows]
                measures[f"{rule} {tensor} histogram"] = followed.histograms[rule][name]
        return measures

    def table(self, results: Results) -> Table:
        pairs = [(way, rule) for way in results.rows for rule in RULES]
        titles = {"relative": "deviation", "cosine": "cosine"}
        columns = [
            Column(f"{title} of {tensor}", [results.interval(way, f"{rule} {tensor} {field}") for way, rule in pairs])
            for field, title in titles.items()
            for tensor in TENSORS
        ]
        place = [1 + order(results, way).index(rule) for way, rule in pairs]
        columns += [
            Column("place by deviation of w_rec", place, "d"),
            Column("paper's place", [PAPER[rule] for _, rule in pairs], "d"),
        ]
        return Table("trained by: gradient of", [f"{way}: {rule}" for way, rule in pairs], columns)

    def figures(self, results: Results) -> dict[str, Figure]:
        figure = Figure(figsize=(3.6 * len(results.rows), 5.4), layout="constrained")
        panels = figure.subplots(2, len(results.rows), sharex="row", sharey="row", squeeze=False)
        for way, above, below in zip(results.rows, *panels, strict=True):
            self.draw(results, way, above, below)
        panels[0, 0].set_ylabel("density")
        panels[1, 0].set_ylabel("relative deviation of w_rec")
        handles = panels[1, 0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside upper center", ncols=len(RULES), frameon=False)
        return {"gradients": figure}

    def draw(self, results: Results, way: str, above: Axes, below: Axes) -> None:
        """The distribution of deviations of w_rec, and the relative deviation over batches: mean and range of seeds."""
        for rule in RULES:
            colour = colours.of(rule, RULES)
            counts = results.values(way, f"{rule} w_rec histogram").sum(axis=0)
            above.stairs(counts / counts.sum() / np.diff(EDGES), EDGES, color=colour)
            curves = results.values(way, f"{rule} w_rec over batches")
            batches = self.settings()[EVERY] * np.arange(curves.shape[1])
            below.plot(batches, curves.mean(axis=0), color=colour, label=rule)
            below.fill_between(batches, curves.min(axis=0), curves.max(axis=0), color=colour, alpha=0.2, linewidth=0)
        above.set(title=f"trained by {way}", xlabel="deviation / r.m.s. of BPTT", yscale="log")
        above.title.set_fontsize("medium")
        below.set(xlabel="batch", ylim=(0.0, None))

    def notes(self, results: Results) -> str:
        lines = [f"- Trained by {way}: {held(results, way)}" for way in results.rows]
        return "\n".join(lines) + (
            "\n\nAt equal feedback weights random and adaptive e-prop have the same gradient: they differ only in how "
            "the feedback changes. Where adaptive e-prop trains without decay its feedback grows, and with it the norm "
            "of its gradient: its deviation can then exceed random's although it points more towards BPTT (cosine)."
        )


def order(results: Results, way: str) -> list[str]:
    """The rules by their mean deviation of w_rec, the smallest first."""
    return sorted(RULES, key=lambda rule: results.values(way, f"{rule} w_rec relative").mean())


def held(results: Results, way: str) -> str:
    """What holds of the paper's claim, by seeds and over training, in a sentence."""
    deviations = np.stack([results.values(way, f"{rule} w_rec relative") for rule in RULES])
    seeds = deviations.shape[1]
    closest = int((np.argmin(deviations, axis=0) == 0).sum())
    more = int((deviations[2] > deviations[1]).sum())
    same = "is the paper's" if order(results, way) == [*RULES] else "is not the paper's"
    curves = np.stack([results.values(way, f"{rule} w_rec over batches") for rule in RULES])
    shares = [
        f"{100.0 * np.mean(part[2] > part[1]):.0f} %"
        for part in (curves[:, :, : curves.shape[2] // 2], curves[:, :, curves.shape[2] // 2 :])
    ]
    always = 100.0 * np.mean(np.argmin(curves, axis=0) == 0)
    return (
        f"symmetric e-prop is closest in {closest} of {seeds} seeds, adaptive e-prop deviates more than random in "
        f"{more} of {seeds}, and the order of the three by their mean deviation of w_rec {same}. Over training: "
        f"symmetric is closest in {always:.0f} % of the comparisons, adaptive deviates more than random in {shares[0]} "
        f"of those of the first half and {shares[1]} of those of the second."
    )
