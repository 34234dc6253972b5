"""The paper's names for backpropagation with the Manhattan rule."""

from __future__ import annotations

from typing import Any

from neko.devices import ConstantStep, Device
from neko.evaluator import Evaluator
from neko.rules.base import Rule
from neko.rules.bptt import BPTT
from neko.updates import Manhattan

MANHATTAN = ("delta", "dead_zone", "accumulate", "w_max", "seed")


def ManhattanRule(model: Evaluator, *, gradient: Any = BPTT, **options: Any) -> Rule:
    """A gradient rule with steps by the sign of the gradient: ``gradient(model, optimizer=Manhattan(…))``.

    Parameters
    ----------
    model : Evaluator
        Model, loss and metrics.
    gradient : rule class
        Where the gradient comes from.
    **options
        ``delta``, ``dead_zone`` and ``accumulate`` of `Manhattan`; the others of the gradient rule.

    References
    ----------
    Zhao et al. (2021), "Neko: a library for exploring neuromorphic learning rules", section 3.3.
    """
    own = {name: options.pop(name) for name in MANHATTAN if name in options}
    return gradient(model, optimizer=Manhattan(**own), **options)


def ManhattanMaterialRule(
    model: Evaluator, material: Device | None = None, *, gradient: Any = BPTT, **options: Any
) -> Rule:
    """As `ManhattanRule`, with every weight held by two devices of a material.

    Parameters
    ----------
    model : Evaluator
        Model, loss and metrics.
    material : Device, optional
        By default the paper's: 1e-6 to 2e-3 S in steps of 1e-5 S.
    gradient : rule class
        Where the gradient comes from.
    **options
        ``dead_zone``, ``accumulate``, ``w_max`` and ``seed`` of `Manhattan`; the others of the gradient rule.
    """
    device = ConstantStep() if material is None else material
    own = {name: options.pop(name) for name in MANHATTAN if name in options}
    return gradient(model, optimizer=Manhattan(device=device, **own), **options)
