"""A kernel of sensitivities and decays in place of a layer's Jacobian, and how well it predicts what noise does."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from neko.backend import parts
from neko.backend.protocol import Backend
from neko.cells.jacobian import StepJacobian
from neko.models.layer import split
from neko.rules.jacobian import Jacobians, combine, edited
from neko.rules.tangent import CurrentWeights, push
from neko.typing import Array


class Perturbed(NamedTuple):
    """The perturbed layer after a step: the change of each state field, Ω and ∂Ω/∂γ, (batch, n) each, and the number of
    steps so far, by which the noise of a step differs from that of others."""

    changes: tuple[Array, ...]
    omega: Array
    slope: Array
    step: Array


def decaying(xp: Backend, jacobians: Any, decay: Array) -> Jacobians:
    """The steps of a layer in which the emission depends on itself by `decay` (n,) and on its currents as it does."""

    def edit(step: StepJacobian) -> StepJacobian:
        (*others, b), like = step.current, next(entry for entry in step.current[-1] if entry is not None)
        none = (None,) * len(others)
        state = (*((*none, None) for _ in others), (*none, xp.zeros_like(like) + decay))
        return StepJacobian(state, (*((None,) * len(b) for _ in others), b))

    return edited(xp, jacobians, edit)


def prediction_error(
    xp: Backend,
    weights: CurrentWeights,
    jacobians: Any,
    valid: Array,
    kernel: tuple[Array, Array],
    key: Array,
    start: Perturbed,
) -> tuple[tuple[Array, Array], Perturbed]:
    r"""The gradient by a kernel (A, γ) of the error of its prediction, and the perturbed layer after the last step.

    .. math::
        Ω_t = γ Ω_{t-1} + b_t ξ_t, \qquad R = \sum_t \tfrac12 ‖Ω_t A - δz_t‖^2

    ξ is normal noise of unit variance in every current, δz the change of the emissions that it leads to, in the limit
    of small noise. R is a sum over the valid frames of all sequences.
    """
    (a, decay), (size, n) = kernel, start.omega.shape
    back, k = xp.matrix_transpose(a), len(weights.w_in)

    def step(old: Any, xs: Any) -> tuple[Any, None]:
        ((changes, omega, slope, count), of_a, of_decay), (columns, shown) = old, xs
        now = jacobians.at(columns)
        b = now.current[-1]
        own = xp.random.fold(key, count)
        noise = split(parts.drawn(functools.partial(xp.random.normal, own), (size, k * n), axis=0), k)
        kicks = (*noise, *(None for _ in b[k:]))  # a constant that learns is no current of the neuron
        moved: Any = push(xp, (weights,), (now,), (changes,), (kicks,))[0]
        slope = decay * slope + omega
        omega = decay * omega + combine(b, kicks)
        away = xp.expand_dims(shown, axis=-1) * (omega @ a - moved[-1])
        of_a = of_a + xp.matrix_transpose(omega) @ away
        of_decay = of_decay + xp.sum((away @ back) * slope, axis=0)
        return (Perturbed(moved, omega, slope, count + 1.0), of_a, of_decay), None

    zeros = (start, xp.zeros_like(a), xp.zeros_like(decay))
    (last, of_a, of_decay), _ = xp.scan(step, zeros, (jacobians.xs, valid))
    return (of_a, of_decay), last
