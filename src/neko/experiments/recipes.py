"""The networks of figure 2, and how each is trained."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import neko
from neko.training.pairs import resolve


@dataclass(frozen=True)
class Recipe:
    """How the networks of a row are made and trained.

    `rate` is Adam's, which falls to zero over all updates with `cosine`; `noise` the deviation of normal noise added to
    the standardised features in training, of which the share `dropout` is zero; `repeats` the steps of 1 ms for which a
    frame is shown; `term` is None for networks that do not spike.
    """

    cell: str
    units: int
    constants: dict[str, Any]
    rule: str
    rate: float
    epochs: int
    batch: int
    noise: float = 0.0
    dropout: float = 0.0
    repeats: int = 1
    cosine: bool = True
    term: neko.FiringRate | None = None


TUNED = Recipe(
    "ALIF",
    200,
    {"tau_m": 6.0, "tau_a": 40.0, "beta": 0.2, "v_th": 3.0, "tau_out": 8.0},
    "eprop:symmetric",
    rate=0.03,
    epochs=20,
    batch=8,
    noise=0.8,
    repeats=2,
    term=neko.FiringRate(9.0, 50.0),
)
BELLEC = Recipe(
    "ALIF",
    400,
    {"tau_m": 20.0, "tau_a": 200.0, "beta": [0.0] * 300 + [0.184] * 100, "v_th": 0.205, "t_ref": 2.0, "tau_out": 3.0},
    "eprop:symmetric",
    rate=0.01,
    epochs=40,
    batch=32,
    cosine=False,
    term=neko.FiringRate(10.0, 50.0),
)
SYMMETRIC, BENCHMARK, UNTUNED = "ALIF-200, e-prop", "LSTM-200, BPTT", "300 LIF + 100 ALIF, e-prop, untuned"
ONE, TWO = DIRECTIONS = ("one direction", "two directions")
LSTM = Recipe("LSTM", 200, {}, "bptt", rate=0.01, epochs=12, batch=8, noise=0.8, dropout=0.2)
SPIKING = {
    SYMMETRIC: "eprop:symmetric",
    "ALIF-200, e-prop, random": "eprop:random",
    "ALIF-200, e-prop, adaptive": "eprop:adaptive",
    "ALIF-200, BPTT": "bptt",
}
"""The rule of the rows that are tuned alike."""
RECIPES = {
    f"{name}, {direction}": recipe
    for direction, tuned in ((ONE, TUNED), (TWO, replace(TUNED, noise=0.7, term=neko.FiringRate(9.0, 30.0))))
    for name, recipe in (
        *((name, replace(tuned, rule=rule)) for name, rule in SPIKING.items()),
        (BENCHMARK, LSTM),
        (UNTUNED, BELLEC),
    )
}
"""The recipe of every row."""


def learning_rule(name: str, model: neko.Evaluator, rate: Any, seed: int) -> Any:
    """The learning rule of a recipe, with Adam."""
    options = {} if name == "bptt" else {"feedback_seed": seed}
    return resolve(name)(model, learning_rate=rate, **options)


def told(recipe: Recipe) -> str:
    """A recipe in a line."""
    constants = "".join(
        f"{name} {'mixed' if isinstance(value, list) else value}, " for name, value in recipe.constants.items()
    )
    term = "" if recipe.term is None else f", rate term {recipe.term.strength} to {recipe.term.target} Hz"
    return (
        f"{constants}{recipe.repeats} ms per frame, Adam {recipe.rate}{' with cosine' if recipe.cosine else ''}, "
        f"{recipe.epochs} epochs, batches of {recipe.batch}, noise {recipe.noise}, dropout {recipe.dropout}{term}"
    )
