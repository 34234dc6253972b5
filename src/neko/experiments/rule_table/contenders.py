"""The rules of the table: those of the registry in every mode, and the reason where one is not defined."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

import neko
from neko import rules
from neko.arguments import of_constructor
from neko.experiments.rule_table.tasks import Task
from neko.rules.base import RULES
from neko.training.pairs import resolve

EXACT = "bptt"
"""The rule that gives the exact gradient, with which others are compared."""
UNTRAINED = {
    "rtrl": f"its gradient is that of {EXACT} to rounding, at a cost of the fourth power of the layer's size",
    "ostl": f"of one layer its gradient is that of {EXACT} to rounding, at the cost of rtrl",
    "sketched": "an update takes 4 to 5 s at this size on one core, and all learning rates of one network an hour",
}
"""Rules that are defined but not trained, with the reason."""
ADAM, RMSPROP = "adam", "rmsprop"
BY_RMSPROP = (EXACT, "sltt")
"""Rules that are also trained by RMSprop, for the claim of arXiv:2603.28750 on immediate derivatives."""
TAU_OUT = 20.0
SPIKING: dict[str, Any] = {"tau_m": 20.0, "v_th": 0.5, "tau_out": TAU_OUT}
NEURONS: dict[str, tuple[Any, dict[str, Any]]] = {
    "ALIF": (neko.ALIF, {**SPIKING, "tau_a": 100.0}),
    "LIF": (neko.LIF, SPIKING),
    "RNN": (neko.RNN, {}),
    "GRU": (neko.GRU, {}),
}


@dataclass(frozen=True)
class Contender:
    """A rule, by its name in the registry with its mode or as a class, and an optimizer."""

    rule: Any
    optimizer: str = ADAM

    @property
    def name(self) -> str:
        """What the table calls it."""
        return f"{self.rule}{', RMSprop' * (self.optimizer == RMSPROP)}"

    @property
    def kind(self) -> type[rules.GradientRule]:
        """The class of the rule."""
        found: Any = rules.resolve(self.rule)
        return getattr(found, "func", found)

    def build(self, model: neko.Evaluator, seed: int, **options: Any) -> Any:
        """The learning rule, with all that is random in it by the seed."""
        known = of_constructor(self.kind)
        seeds = {name: seed for name in ("seed", "feedback_seed") if name in known}
        return resolve(self.rule)(model, optimizer=self.optimizer, **seeds, **options)

    @property
    def locality(self) -> str:
        """The first sentence of what the rule's docstring says of locality."""
        found = re.search(r"\*\*Locality\.\*\* (.*?)[.;](?: |$)", " ".join((self.kind.__doc__ or "").split()))
        return found[1] if found else ""


def contenders() -> list[Contender]:
    """Every rule of the registry, in each of its modes, and those by RMSprop; the exact one is the first."""
    names = [name for name in rules.names() if ":" in name or not RULES.about(name).get("modes")]
    names.sort(key=lambda name: name != EXACT)
    return [*map(Contender, names), *(Contender(name, RMSPROP) for name in with_modes(BY_RMSPROP))]


def with_modes(names: tuple[str, ...]) -> list[str]:
    """Registered names, those with modes in their first one."""
    known = [name for name in names if name in RULES]
    return [":".join([name, *RULES.about(name).get("modes", ())[:1]]) for name in known]


def network(neuron: str, task: Task, units: int, outputs: int, backend: str, seed: int) -> neko.Evaluator:
    """The network of a neuron for a task."""
    build, constants = NEURONS[neuron]
    metrics = ["accuracy"] if task.classes else []
    return neko.Evaluator(build(units, outputs, backend, seed=seed, **constants), loss=task.loss, metrics=metrics)


def refusal(contender: Contender, neuron: str, task: Task, backend: str) -> str | None:
    """Why a rule is not trained on a neuron and a task; None if it is."""
    if contender.rule in UNTRAINED:
        return UNTRAINED[contender.rule]
    return refused(contender, neuron, bool(task.classes), task.sequences, backend)


@functools.cache
def refused(contender: Contender, neuron: str, classes: bool, sequences: int, backend: str) -> str | None:
    """What a rule says to a small network with a loss of classes or of values and so many sequences, two at most; None
    if it gives a gradient."""
    loss, y = ("sparse_categorical_crossentropy", [0, 1]) if classes else ("mse", np.zeros((2, 3, 1)))
    build, constants = NEURONS[neuron]
    model = neko.Evaluator(build(2, 2 if classes else 1, backend, **constants), loss=loss)
    try:
        contender.build(model, 0, jit=False).gradients(np.ones((sequences, 3, 1)), y[:sequences])
    except (TypeError, ValueError, NotImplementedError) as error:
        return str(error)
    return None
