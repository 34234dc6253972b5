"""Exact rules against automatic differentiation and each other; e-prop against the same with its cuts."""

from __future__ import annotations

from typing import Any

from neko.verification.cases import Case, gradients, max_relative_error, relative_error
from neko.verification.oracles import ORACLES
from neko.verification.reference import by_autodiff, eprop_by_autodiff


@ORACLES.register("autodiff")
def autodiff(case: Case, rule: Any) -> float:
    """An exact rule against automatic differentiation of the network in a plain loop; its loss is compared too."""
    loss, found = rule.gradients(*case.data)
    value, expected = by_autodiff(case.xp, case.evaluator, case.evaluator.network.cells, *case.data)
    return max(abs(float(loss) - float(value)) / abs(float(value)), relative_error(case.xp, found, expected))


@ORACLES.register("bptt")
def bptt(case: Case, rule: Any) -> float:
    """An exact rule against backpropagation through time."""
    return max_relative_error(gradients(rule, case.data), case.bptt)


@ORACLES.register("cut autodiff")
def cut_autodiff(case: Case, rule: Any) -> float:
    """e-prop against automatic differentiation of the network with exactly its cuts."""
    cells = [cell.without_reset() for cell in case.evaluator.network.cells]
    found = rule.gradients(*case.data)[1]
    feedback = [rule.feedback[f"feedback.{i}"] for i in range(len(cells))] if rule.feedback else None
    expected = eprop_by_autodiff(case.xp, case.evaluator, cells, *case.data, feedback=feedback)
    top = f"feedback.{len(cells) - 1}"
    if top in found:  # trained feedback has the gradient of the readout
        expected[top] = case.xp.matrix_transpose(expected["readout.w_out"])
    return relative_error(case.xp, {name: found[name] for name in expected}, expected)
