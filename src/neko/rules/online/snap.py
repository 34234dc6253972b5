"""SnAp: the sparse n-step approximation of real-time recurrent learning."""

from __future__ import annotations

from typing import Any

from neko.arguments import check_integer
from neko.backend.protocol import Backend
from neko.cells.jacobian import Entries, StepJacobian
from neko.models.network import Params, layer_params
from neko.objective import Batch
from neko.rules.base import RULES, Gradient
from neko.rules.full import FullInfluence, Influence
from neko.rules.online.three_factor import MODES, ThreeFactor
from neko.rules.tangent import Step, build_weights, with_loops
from neko.typing import Array


@RULES.register("snap", oracle="own neuron", modes=MODES)
class SnAp(ThreeFactor):
    r"""Sparse n-step approximation of RTRL: the influence of a weight on the neurons that it reaches in n steps.

    .. math::
        M_t = mask_n ⊙ (J_t M_{t-1} + ∂h_t/∂W), \qquad \frac{dE}{dW} = \sum_t q_t M_t

    With n = 1 a weight reaches its own neuron: as `neko.rules.DRTRL`, with the connection of a neuron to itself
    through ``w_rec``, if the cell has autapses. With n = 2 it also reaches the neurons to which that one has a
    recurrent weight that is not zero, and so on within its layer; once n is the diameter of the graph, one layer has
    the gradient of RTRL. The options beside `level` are those of `neko.rules.ThreeFactor`.

    Parameters
    ----------
    model : Evaluator
        Model, loss and metrics.
    level : int
        n. Above 1 feedback is symmetric.
    mode, stepwise, feedback_decay, feedback_seed
        See `neko.rules.ThreeFactor`.

    Notes
    -----
    **Locality.** For n = 1 a synapse uses the activity of its two neurons and one learning signal per neuron; for
    n > 1 also those of all neurons within n - 1 connections.

    **Cost.** For n = 1 O(n n_pre) time and O(n) memory per step and sequence for a whole sequence, computed backward;
    in a stream O(n n_pre) memory. For n > 1 the mask is applied to a full influence: O(n^4) time and O(n^3) memory, as
    RTRL; what sparse storage would save is not saved.

    **Limits.** No credit passes beyond the mask through time. In a stack, layers above pass credit within a step. An
    update that moves a weight away from zero widens the mask: with dense recurrent weights n = 2 is everything.

    References
    ----------
    Menick et al. (2021), "Practical real time recurrent learning with a sparse approximation", arXiv 2006.07232.
    """

    def __init__(
        self,
        model: Any,
        *,
        level: int = 1,
        mode: str = "symmetric",
        stepwise: bool = False,
        feedback_decay: float = 0.0,
        feedback_seed: int = 0,
    ) -> None:
        if check_integer("level", level) > 1 and mode != "symmetric":
            raise ValueError(f"mode={mode!r} with level={level!r}: above level 1 expected mode='symmetric'")
        super().__init__(
            model, mode=mode, stepwise=stepwise, feedback_decay=feedback_decay, feedback_seed=feedback_seed
        )
        self.level = level
        self.masked = MaskedInfluence(model, level) if level > 1 else None

    def kept(self, params: Params, index: int, jacobians: Any) -> Any:
        cell = self.model.network.cells[index]
        return super().kept(params, index, jacobians) if cell.autapses and cell.recurrent_currents else jacobians

    def paths(self, params: Params, index: int, step: StepJacobian) -> StepJacobian:
        cell = self.model.network.cells[index]
        return with_loops(self.xp, step, build_weights(self.xp, cell, layer_params(params, index)).w_rec)

    def differentiate(self, params: Params, feedback: Params, batch: Batch, carry: Any) -> Gradient:
        rule: Any = super() if self.masked is None else self.masked
        found: Gradient = rule.differentiate(params, feedback, batch, carry)
        return found

    def in_chunks(self, params: Params, feedback: Params, batch: Batch, carry: Any, length: int) -> Gradient:
        rule: Any = super() if self.masked is None else self.masked
        found: Gradient = rule.in_chunks(params, feedback, batch, carry, length)
        return found

    def initial_carry(self, size: int) -> Any:
        rule: Any = super() if self.masked is None else self.masked
        return rule.initial_carry(size)

    def carry_template(self, size: int) -> Any:
        rule: Any = super() if self.masked is None else self.masked
        return rule.carry_template(size)


class MaskedInfluence(FullInfluence):
    """The influence within each layer on the neurons that a weight reaches in `level` steps, at least 2."""

    across = False

    def __init__(self, model: Any, level: int) -> None:
        super().__init__(model)
        self.level = level

    def advance(self, memory: Influence, step: Step, key: Array | None) -> Influence:
        mask = reached(self.xp, step.weights[0].w_rec, step.units[0], self.level)

        def kept(tangent: Any) -> Any:
            return tuple(tuple(field * mask for field in fields) for fields in tangent)

        return tuple(tuple(kept(tangent) for tangent in own) for own in super().advance(memory, step, key))


def reached(xp: Backend, w_rec: Entries, n: int, level: int) -> Array:
    """1 where a weight onto the first neuron reaches the second in `level` steps, (n, n)."""
    links = [xp.astype(w != 0.0, xp.dtype) for w in w_rec if w is not None]
    hop = xp.minimum(sum(links, start=xp.eye(n)), 1.0)
    found = xp.eye(n)
    for _ in range(min(level, n) - 1):
        found = xp.minimum(found @ hop, 1.0)
    return found
