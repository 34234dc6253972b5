"""What one network, trained by one rule on one task, is measured by."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

import neko
from neko.errors import NonFiniteError
from neko.experiments.rule_table.contenders import EXACT, Contender
from neko.experiments.rule_table.tasks import Data, Part, Task
from neko.experiments.rule_table.turns import Turns
from neko.training import deviations
from neko.training.activity import SATURATED, SILENT
from neko.training.comparison import weights_only
from neko.training.costs import peak
from neko.training.pairs import resolve

FLAT = 0.95
"""Mean magnitude of the activity in [-1, 1] above which neurons that do not spike are saturated; they are silent if it
deviates by less than `SILENT` in time and over examples."""
COLLAPSED = 0.95
"""Share of one class in all predictions, or of the variance of a target that is missing from the predictions, above
which a network has collapsed."""
FEW = 2
"""Sequences for which learning signals are recorded, before training, when all rules have the same network."""


def trained(
    contender: Contender, model: neko.Evaluator, task: Task, data: Data, settings: dict[str, Any], seed: int
) -> dict[str, float]:
    """Train by every learning rate in turn from the same start, and measure the network that is best on the validation.

    Every rate has the same number of updates with the same batches. Cosines to the exact gradient are those of the best
    network, at equidistant updates from the first on.

    Parameters
    ----------
    contender : Contender
        The rule.
    model : Evaluator
        The network before training.
    task, data : Task, Data
        What it learns.
    settings : dict
        ``'learning rates'``, ``'updates'``, ``'batch'`` and ``'comparisons'``.
    seed : int
        Seed of feedback weights, noise and batches.

    Returns
    -------
    dict
        Measures by name; without those of the test if every rate has diverged.
    """
    rates, updates = settings["learning rates"], settings["updates"]
    rule = contender.build(model, seed, learning_rate=Turns(tuple(rates), updates))
    first = model.examples(*data.train.rows(slice(settings["batch"])))
    rule.start(first.x)
    found = signals(rule, data.train.rows(slice(FEW)))
    start, best, lowest = rule.exported(), None, math.inf
    exact = resolve(EXACT)(model.clone())
    seconds: list[float] = []
    for turn, rate in enumerate(rates):
        rule.load({**start, "steps": turn * updates}, [first])
        try:
            taken, cosines = train(rule, exact, data.train, settings, seed)
            score = model.evaluate(*data.validation)["loss"]
        except NonFiniteError:
            continue
        seconds += taken
        if score < lowest:
            lowest, best = score, (rate, rule.exported(), cosines)
    if best is None:
        return {"diverged": 1.0}
    rate, kept, cosines = best
    rule.load(kept, [first])
    found |= {"learning rate": rate, "milliseconds": 1000.0 * float(np.median(seconds))}
    if np.isfinite(cosines).all():  # a rule that moves no hidden weight points nowhere
        found |= {"cosine": float(np.mean(cosines)), "first cosine": cosines[0], "last cosine": cosines[-1]}
    found |= tested(model, task, data.test)
    memory = peak(lambda: rule.gradients_of(first))
    return found if memory is None else found | {"MiB": memory}


def train(rule: Any, exact: Any, part: Part, settings: dict[str, Any], seed: int) -> tuple[list[float], list[float]]:
    """All updates of one learning rate: seconds of processor time of each, and the cosines to the exact gradient."""
    rng, seconds, cosines = np.random.default_rng(seed), [], []
    every = settings["updates"] // settings["comparisons"]
    for update in range(settings["updates"]):
        rows = rng.integers(len(part.x), size=min(settings["batch"], len(part.x)))
        item = rule.model.examples(*part.rows(rows))
        if update % every == 0:
            exact.model.params = rule.model.params
            cosines.append(cosine(rule, exact, item))
        begin = time.process_time()
        rule.learn(item)
        rule.check()
        seconds.append(time.process_time() - begin)
    return seconds, cosines


def cosine(rule: Any, exact: Any, item: Any) -> float:
    """Cosine of the gradients of two rules, of all hidden weights together; NaN where one of them is zero."""
    g, r = (deviations.vectors(weights_only(one, one.gradients_of(item)[1])) for one in (rule, exact))
    return float(deviations.cosines([g[deviations.HIDDEN], r[deviations.HIDDEN]])[0, 1])


def tested(model: neko.Evaluator, task: Task, part: Part) -> dict[str, float]:
    """Accuracy, or error relative to the target's variance, with flags of networks that are void for comparison."""
    found, flags = model.evaluate(*part), activity(model, part)
    y = model.predict(part.x, part.mask)
    if task.classes:
        counted = np.ones(y.shape[:-1], bool) if part.mask is None or y.ndim < 3 else part.mask > 0.0
        collapsed = np.bincount(y.argmax(axis=-1)[counted]).max() / counted.sum() > COLLAPSED
        return flags | {"accuracy": found["accuracy"], "collapsed": float(collapsed)}
    flags["collapsed"] = float(y.var() < (1.0 - COLLAPSED) * part.y.var())
    return flags | {"error": found["loss"] / float(part.y.var())}


def activity(model: neko.Evaluator, part: Part) -> dict[str, float]:
    """Mean activity of the neurons in some test sequences, and whether they are silent or saturated."""
    few = model.examples(*part.rows(slice(100)))
    with model.xp.scope():
        x = model.model.arrange(few.x)
        passed = model.model.forward(model.xp.forward_only(), model.params, x, None, training=False)
        z = np.asarray(model.xp.to_numpy(passed.emissions[-1]), np.float64)
    if model.network.cells[-1].spiking:
        rate = float(z.mean())
        return {"activity": rate, "silent": float(rate < SILENT), "saturated": float(rate > SATURATED)}
    size = float(np.abs(z).mean())
    varied = float(z.std(axis=(0, 1)).mean())
    return {"activity": size, "silent": float(varied < SILENT), "saturated": float(size > FLAT)}


def signals(rule: Any, few: Part) -> dict[str, float]:
    """Root mean square of the learning signals; nothing for a rule that has none."""
    try:
        layers = rule.traces(*few)
    except (TypeError, ValueError, NotImplementedError):
        return {}
    return {"signal": float(np.sqrt(np.mean([np.mean(np.square(layer.signal)) for layer in layers])))}
