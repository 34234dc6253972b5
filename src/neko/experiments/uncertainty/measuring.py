"""What one method is measured by: its predictions, their calibration, and whether its chains agree."""

from __future__ import annotations

import dataclasses
import importlib.util
import time
from typing import Any

import numpy as np

import neko
from neko.bayes import Posterior, TemperatureScaling
from neko.datasets import Dataset
from neko.experiments.uncertainty.methods import ADAM, Recipe

CLASSES = 10
EXAMPLE = 0
"""Test example whose predictions are kept."""
KEPT = 100
"""Number of draws of them."""


def measured(recipe: Recipe, data: Dataset, hidden: int, backend: str, seed: int) -> dict[str, Any]:
    """Train by a recipe and test; measures by name.

    'processor seconds' are of training and predictions, with what is compiled, and with the networks that warm chains
    start from.
    """
    begin = time.process_time()
    data = with_constant(data) if recipe.constant else data
    examples = len(data.x_train) - round(recipe.held * len(data.x_train))
    rule = trained(recipe, data.first(examples, None), hidden, backend, seed)
    found = centre(rule, data) if recipe.centre else rule.posterior
    if recipe.held:
        held = found.with_predictions(rule.model, data.x_train[examples:])
        found = TemperatureScaling.fit(held, data.y_train[examples:])(found)
    seconds = time.process_time() - begin
    measures = {"processor seconds": seconds, **described(found, data.y_test)}
    return measures | (chains(rule, found, data.y_test) if recipe.sampler else {})


def with_constant(data: Dataset) -> Dataset:
    """The data with a further input that is always 1."""
    x, x_test = (np.concatenate([x, np.ones_like(x[..., :1])], axis=-1) for x in (data.x_train, data.x_test))
    return data._replace(x_train=x, x_test=x_test)


def trained(recipe: Recipe, data: Dataset, hidden: int, backend: str, seed: int) -> Any:
    """The learner of a recipe after its training."""
    model = network(recipe, hidden, backend, seed, data)
    options = recipe.options | recipe.schedule(len(data.x_train))
    if recipe.warm:
        options["starts"] = starts(recipe, data, hidden, backend, seed)
        del options["chains"]
    if recipe.combination:
        # members of no two seeds share initial weights
        members = options.pop("members")
        seeds = range(members * seed, members * (seed + 1))
        options["starts"] = [network(recipe, hidden, backend, number, data).params for number in seeds]
    rule = recipe.kind(model, x_pred=data.x_test, seed=seed, **options)
    neko.Trainer(rule).train(
        data.x_train,
        data.y_train,
        epochs=recipe.epochs,
        batch_size=min(recipe.batch, len(data.x_train)),
        shuffle=recipe.batch < len(data.x_train),
        seed=seed,
        progress=False,
    )
    return rule


def network(recipe: Recipe, hidden: int, backend: str, seed: int, data: Dataset) -> neko.Evaluator:
    """The network of a recipe with its initial weights."""
    options = dict(recipe.network)
    if recipe.leaks is not None:
        options["tau_m"] = (-1.0 / np.log(np.linspace(*recipe.leaks, hidden))).tolist()
    net = getattr(neko, recipe.cell)(recipe.units or hidden, CLASSES, backend, seed=seed, **options)
    model = neko.Evaluator(net, loss="categorical_crossentropy", target="mean")
    model.build(data.x_train)
    return model


def starts(recipe: Recipe, data: Dataset, hidden: int, backend: str, seed: int) -> list[dict[str, np.ndarray]]:
    """Networks that Adam has trained with the prior of the recipe, one for each chain."""
    members = recipe.options["chains"]
    adam = dataclasses.replace(
        ADAM,
        method="ensemble",
        epochs=min(ADAM.epochs, recipe.epochs),
        options={"prior": recipe.options["prior"], "members": members},
        network=recipe.network,
    )
    draws = trained(adam, data, hidden, backend, seed).posterior.draws
    return [{name: w[member, 0] for name, w in draws.items()} for member in range(members)]


def centre(rule: Any, data: Dataset) -> Posterior:
    """The predictions of the one network with the weights at the centre of the distribution."""
    one = np.full((1, 1), np.nan)
    p = rule.model.predict(data.x_test)
    return Posterior({}, one, one, one[0], p[None, None], power=rule.power, temperature=rule.temperature)


def described(found: Posterior, y: np.ndarray) -> dict[str, Any]:
    """Scores, calibration and ranks of predictions, and what the figures need of every example."""
    values, right = found.mean_cross_entropy(), found.right(y)
    draws = found.samples[:, EXAMPLE]
    return {
        "accuracy": found.accuracy(y),
        "negative log likelihood": found.negative_log_likelihood(y),
        "Brier score": found.brier_score(y),
        "calibration error": found.calibration_error(y),
        "calibration error if calibrated": found.calibrated_error().mean,
        "AUROC": found.error_auroc(y),
        "AUROC if calibrated": found.calibrated_auroc().mean,
        "uncertainty, right": values[right].mean(),
        "uncertainty, wrong": values[~right].mean(),
        "rank test p": found.error_rank_test(y),
        "power": found.power,
        "temperature": found.temperature,
        "uncertainty": values,
        "right": right,
        "confidence": found.confidence,
        "example": draws[:: -(-len(draws) // KEPT)].ravel(),
    }


def chains(rule: Any, found: Posterior, y: np.ndarray) -> dict[str, Any]:
    """The log density of every chain in every epoch, acceptance, and the diagnostics of mixing where there are any."""
    measures: dict[str, Any] = {
        f"log density, chain {number}": chain.logdensity for number, chain in enumerate(rule.chains)
    }
    if np.isfinite(found.acceptance).all():
        measures["acceptance"] = found.acceptance.mean()
    if importlib.util.find_spec("arviz"):
        mixing = found.mixed(y)
        measures |= {
            "R-hat of predictions": mixing.rhat,
            "predictions of R-hat up to 1.05": mixing.share,
            "R-hat of the likelihood": mixing.rhat_nll,
            "ESS of predictions": mixing.ess,
            "ESS of the likelihood": mixing.ess_nll,
            "trend p": mixing.trend.p,
        }
    return measures
