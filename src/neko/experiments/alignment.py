"""The direction of forward rules beside the exact one, on chaotic series."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import neko
from neko import rules, updates
from neko.cells.jacobian import StepJacobian
from neko.datasets import chaotic
from neko.experiments.base import EXPERIMENTS, Experiment, Trial
from neko.experiments.results import Column, Results, Table
from neko.models.network import Params


class FixedLeak(rules.RFLO):
    """RFLO for units without a leak: the trace decays by a tenth per step, and the feedback is the exact one."""

    def paths(self, params: Params, index: int, step: StepJacobian) -> StepJacobian:
        slope = step.current[0][0]
        return StepJacobian(((0.9 * self.xp.ones_like(slope),),), step.current)


ROWS: dict[str, Any] = {
    "sketched, rank 16": functools.partial(rules.SketchedRTRL, rank=16),
    "SnAp-1": rules.SnAp,
    "KF-RTRL": rules.KFRTRL,
    "RFLO, decay .9": functools.partial(FixedLeak, mode="symmetric"),
    "present step only": rules.Eprop,
    "UORO": rules.UORO,
}
PUBLISHED = {"sketched, rank 16": 0.938, "SnAp-1": 0.505, "KF-RTRL": 0.512, "RFLO, decay .9": 0.288, "UORO": 0.056}


@EXPERIMENTS.register("alignment")
class Alignment(Experiment):
    """How close to the exact gradient of each step is that of a forward rule?

    A network of 64 tanh units predicts the next value of Hénon, Lorenz and Mackey-Glass, eight streams at once, and
    learns from every step by its rule, with Adam at 1e-3. At each step exact RTRL runs along with the same weights.
    The cosine of the two gradients of all hidden weights, averaged over all steps; states and influence start again
    every 200 steps. Weights are uniform within ± 1/√n at first, biases zero.

    Set-up and published figures: github.com/sonaradarcn/sketched-rtrl, where a run has 15,000 steps and ten seeds.
    """

    title = "Forward rules beside exact RTRL on chaotic series"
    default_seeds = 1

    def settings(self) -> dict[str, Any]:
        small = {"units": 16, "steps": 40, "sequences": 1}
        return {"units": 64, "steps": 200, "sequences": 3} | (small if self.quick else {}) | {"batch": 8, "rate": 1e-3}

    def trials(self) -> list[Trial]:
        series = list(chaotic.SERIES)[:1] if self.quick else list(chaotic.SERIES)
        return [Trial(row, s, {"series": name}) for s in range(self.seeds) for name in series for row in ROWS]

    def measure(self, trial: Trial) -> dict[str, Any]:
        settings, series = self.settings(), trial.options["series"]
        steps, batch = settings["steps"], settings["batch"]
        sizes = {"train": batch * settings["sequences"], "test": 1, "steps": steps}
        data = chaotic.load(series=series, seed=trial.seed, **sizes)
        x, y = (a.reshape(batch, -1, steps, 1) for a in (data.x_train, data.y_train))
        model = uniform(neko.RNN(settings["units"], 1, self.backend, task_type="regression"), trial.seed)
        evaluator = neko.Evaluator(model, loss="mse")
        rule, exact, xp = ROWS[trial.row](evaluator), rules.RTRL(evaluator), model.xp
        update = updates.resolve(xp, "adam", settings["rate"]).update

        def step(params: Any, state: Any, own: Any, other: Any, number: Any, x: Any, y: Any) -> Any:
            frame = evaluator.batch(x, y, None)._replace(number=number)
            found, reference = (r.differentiate(params, {}, frame, c) for r, c in ((rule, own), (exact, other)))
            params, state = update.step(params, found.gradients, state, xp.scalar(settings["rate"]))
            pair = hidden(xp, found.gradients), hidden(xp, reference.gradients)
            return dict(params), state, found.carry, reference.carry, (*pair, found.forward.loss)

        compiled, cosines, losses = xp.jit(step), [], []
        with xp.scope():
            params, state = model.params, update.init(model.params)
            for s in range(settings["sequences"]):
                own, other = rule.initial_carry(batch), exact.initial_carry(batch)
                for t in range(steps):
                    number = xp.scalar(float(s * steps + t))
                    frame = (xp.asarray(a[:, s, t : t + 1]) for a in (x, y))
                    params, state, own, other, last = compiled(params, state, own, other, number, *frame)
                    g, r, loss = (np.asarray(xp.to_numpy(a), np.float64) for a in last)
                    cosines.append(neko.compare.deviation(g, r).cosine)
                    losses.append(float(loss))
        mean = float(np.mean(cosines))
        return {"cosine": mean, series: mean, "error": float(np.mean(losses))}

    def table(self, results: Results) -> Table:
        means = Column("mean cosine", [float(results.values(row, "cosine").mean()) for row in results.rows])
        series = [name for name in chaotic.SERIES if len(results.values("SnAp-1", name))]
        columns = [results.column(name, name) for name in series]
        return Table("rule", results.rows, [means, results.beside("published", PUBLISHED), *columns])

    def notes(self, results: Results) -> str:
        gaps = [abs(results.values(row, "cosine").mean() - PUBLISHED[row]) for row in results.rows if row in PUBLISHED]
        return (
            f"The means lie within {max(gaps):.2f} of the published ones, whose runs are longer and of more seeds. For "
            "units without a leak SnAp-1 has little more than the derivative of the present step, by the connection of "
            "a unit to itself; a trace that decays as the network does not is worse than none. UORO has the right "
            "mean, but a single draw is nearly orthogonal to the gradient: only a mean over many steps follows it."
        )


def uniform(model: neko.Model, seed: int) -> neko.Model:
    """The model with weights uniform within ± 1/√n, and biases zero."""
    model.build(1)
    rng, bound = np.random.default_rng(seed), model.cells[0].units ** -0.5
    model.params = {
        name: model.xp.asarray(rng.uniform(-bound, bound, tuple(p.shape)) if len(p.shape) > 1 else np.zeros(p.shape))
        for name, p in model.params.items()
    }
    return model


def hidden(xp: Any, gradients: Params) -> Any:
    """The gradient of all hidden weights as one vector."""
    found = [xp.reshape(gradients[name], (-1,)) for name in sorted(gradients) if name.startswith("layers")]
    return xp.concat(found, axis=0)
