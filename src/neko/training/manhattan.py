"""The paper's names for a gradient rule with the Manhattan rule as its update."""

from __future__ import annotations

from typing import Any

from neko.devices import ConstantStep, Device
from neko.evaluator import Evaluator
from neko.training.learning_rule import LearningRule
from neko.training.pairs import resolve
from neko.updates import Manhattan

MANHATTAN = ("delta", "dead_zone", "accumulate", "w_max", "seed")


def ManhattanRule(
    model: Evaluator, *, gradient: Any = "bptt", device: Device | None = None, **options: Any
) -> LearningRule:
    """A gradient rule with steps by the sign of the gradient: ``gradient(model, optimizer=Manhattan(…))``.

    Parameters
    ----------
    model : Evaluator
        Model, loss and metrics.
    gradient : str, class or callable
        Where the gradient comes from: a rule's name or class.
    device : Device, optional
        Stores the weights, two devices per weight.
    **options
        ``delta``, ``dead_zone``, ``accumulate``, ``w_max`` and ``seed`` of `Manhattan`; the others of the gradient
        rule and of `LearningRule`.

    References
    ----------
    Zhao et al. (2021), "Neko: a library for exploring neuromorphic learning rules", section 3.3.
    """
    own = {name: options.pop(name) for name in MANHATTAN if name in options}
    return resolve(gradient)(model, optimizer=Manhattan(device=device, **own), **options)


def ManhattanMaterialRule(model: Evaluator, material: Device | None = None, **options: Any) -> LearningRule:
    """As `ManhattanRule`, with every weight stored in two devices of a material.

    Parameters
    ----------
    model : Evaluator
        Model, loss and metrics.
    material : Device, optional
        By default the paper's: 1e-6 to 2e-3 S in steps of 1e-5 S.
    **options
        As for `ManhattanRule`.
    """
    return ManhattanRule(model, device=ConstantStep() if material is None else material, **options)
