"""Learning from rewards: a delayed cue and CartPole by reward-based e-prop."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import neko
from neko.environments import DelayedCue, Gymnasium, ShuffledRewards
from neko.experiments.base import EXPERIMENTS, Experiment, Trial
from neko.experiments.results import Results, Table
from neko.plots import colours
from neko.updates import Cosine

PIECES = 20
"""Points of a curve of returns."""
AIM = 150.0
"""The return of CartPole that is aimed at."""
STEPS = {"cue": "steps, delayed cue", "pole": "steps, CartPole"}
LAST = {"cue": "last episodes, delayed cue", "pole": "last episodes, CartPole"}


def cue(seed: int, steps: int, backend: str, mode: str, *, shuffled: bool = False) -> neko.ActorCritic:
    """The agent of the delayed cue."""
    task = DelayedCue(32, cue=3, delay=10, seed=seed)
    cell = {"tau_m": 10.0, "tau_a": 200.0, "beta": 0.3}
    model = neko.ALIF(50, task.actions + 1, backend, tau_out=5.0, readout_scaling=True, seed=seed, **cell)
    options = {"steps": 5, "discount": 0.95, "mode": mode, "feedback_seed": seed, "every": 15, "seed": seed}
    return neko.ActorCritic(model, ShuffledRewards(task) if shuffled else task, learning_rate=5e-3, **options)


def pole(seed: int, steps: int, backend: str, mode: str) -> neko.ActorCritic:
    """The agent of CartPole."""
    task = Gymnasium("CartPole-v1", 16, scale=(2.4, 3.0, 0.21, 3.0), seed=seed)
    cell = {"tau_m": 5.0, "v_th": 0.5, "input_scaling": True}
    model = neko.LIF(100, task.actions + 1, backend, tau_out=5.0, readout_scaling=True, seed=seed, **cell)
    options = {"steps": 4, "discount": 0.99, "mode": mode, "feedback_seed": seed, "every": 16, "seed": seed}
    scaled = {"reward_scale": 0.05, "value_weight": 0.5, "learning_rate": Cosine(2e-3, steps // 16)}
    encoder = "gaussian(neurons=16, low=-1, high=1, beta=1, threshold=0.4)"
    return neko.ActorCritic(model, task, encoder=encoder, **scaled, **options)


ROWS: dict[str, tuple[str, Callable[..., neko.ActorCritic]]] = {
    "delayed cue, symmetric": ("cue", functools.partial(cue, mode="symmetric")),
    "delayed cue, random": ("cue", functools.partial(cue, mode="random")),
    "delayed cue, symmetric, shuffled rewards": ("cue", functools.partial(cue, mode="symmetric", shuffled=True)),
    "CartPole, symmetric": ("pole", functools.partial(pole, mode="symmetric")),
    "CartPole, random": ("pole", functools.partial(pole, mode="random")),
}


@EXPERIMENTS.register("reward")
class Reward(Experiment):
    """What does a spiking network learn from rewards alone, online?

    Reward-based e-prop: actor and critic in one network, the temporal-difference error as third factor, symmetric or
    random feedback. *Delayed cue*: 50 ALIF neurons, 32 environments; a cue on the left or right for three steps of
    5 ms, ten steps of nothing, a go signal, and a reward of 1 for the action on the side of the cue, else -1. Chance is
    one half; with rewards shuffled over the environments nothing can be learnt, which is the control. *CartPole-v1* of
    Gymnasium: 100 LIF neurons, 16 environments, Gaussian receptive fields of the four state variables, 4 ms a step; the
    return is at most 500.

    Means over the last episodes of learning, actions drawn from the policy; spikes per neuron and step of 1 ms over
    fifteen steps more.

    References
    ----------
    Bellec et al. (2020), doi:10.1038/s41467-020-17236-y, "Reward-based e-prop".
    """

    title = "Rewards: a delayed cue and CartPole"
    packages = ("gymnasium",)

    def settings(self) -> dict[str, Any]:
        steps = (150, 150) if self.quick else (3000, 8000)
        return {**dict(zip(STEPS.values(), steps, strict=True)), **dict(zip(LAST.values(), (640, 50), strict=True))}

    def trials(self) -> list[Trial]:
        rows = [row for row in ROWS if "random" not in row] if self.quick else [*ROWS]
        return [Trial(row, seed) for seed in range(self.seeds) for row in rows]

    def measure(self, trial: Trial) -> dict[str, Any]:
        task, build = ROWS[trial.row]
        settings = self.settings()
        steps = settings[STEPS[task]]
        agent = build(trial.seed, steps, self.backend)
        returns = np.array(agent.train(steps))
        last = returns[-settings[LAST[task]] :].mean()
        curve = [part.mean() for part in np.array_split(returns, PIECES)]
        return {
            "return": last,
            **({"right": 50.0 + 50.0 * last} if task == "cue" else {}),
            "spikes": spikes(agent),
            "episodes": len(returns),
            "curve": curve,
        }

    def table(self, results: Results) -> Table:
        columns = [
            results.column("mean return", "return", ".2f"),
            results.column("right, %", "right", ".1f"),
            results.column("episodes", "episodes", ".0f"),
            results.column("spikes a step", "spikes"),
        ]
        return Table("task and feedback", results.rows, columns)

    def figures(self, results: Results) -> dict[str, Figure]:
        figure = Figure(figsize=(8.0, 3.2), layout="constrained")
        share = (np.arange(PIECES) + 0.5) * 100.0 / PIECES
        names = list(dict.fromkeys(row.partition(",")[0] for row in results.rows))
        for name, panel in zip(names, figure.subplots(1, len(names), squeeze=False)[0], strict=True):
            rows = [row for row in results.rows if row.startswith(name)]
            labels = [row.removeprefix(f"{name}, ") for row in rows]
            for row, label in zip(rows, labels, strict=True):
                curves, colour = results.values(row, "curve"), colours.of(f"eprop:{label}", labels)
                panel.plot(share, curves.mean(axis=0), color=colour, label=label)
                panel.fill_between(share, curves.min(axis=0), curves.max(axis=0), color=colour, alpha=0.2, linewidth=0)
            panel.set(title=name, xlabel="episodes, % of all", ylabel="mean return")
            panel.legend(frameon=False)
        return {"returns": figure}

    def notes(self, results: Results) -> str:
        lines = []
        for row in (row for row in results.rows if row.startswith("CartPole")):
            found = results.values(row, "return")
            values = ", ".join(f"{value:.0f}" for value in found)
            lines.append(f"- {row}: {values}; {int((found >= AIM).sum())} of {len(found)} seeds reach {AIM:.0f}.")
        return "\n".join(lines)


def spikes(agent: neko.ActorCritic) -> float:
    """Spikes per neuron and time step, over fifteen more steps of the environments, a whole episode of the cue."""
    found = []
    for _ in range(15):
        agent.train(1)
        found.append(float(agent.xp.to_numpy(agent.xp.mean(agent.carry.memory.state.layers[0].z))))
    return float(np.mean(found))
