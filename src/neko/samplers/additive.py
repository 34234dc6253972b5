"""Metropolis updates of the terms of a sum, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from neko.backend.protocol import Backend
from neko.samplers.proposals import decide
from neko.typing import Array


class Info(NamedTuple):
    """Of every term the probability of acceptance, and whether its proposal was accepted, (terms,)."""

    acceptance_probability: Array
    accepted: Array


def step(
    xp: Backend,
    key: Array,
    outputs: Array,
    changes: Array,
    weights: Array,
    corrections: Array,
    loglikelihood: Callable[[Array], Array],
) -> tuple[Array, Info]:
    r"""Accept or reject a proposal for each term of :math:`y = \sum_j w_j ⊗ s_j + \dots` in turn.

    .. math::
        y' = y + w_j ⊗ Δs_j, \qquad α_j = \min(1, e^{\log L(y') - \log L(y) + c_j})

    The proposals must not depend on each other: then all Δs may be computed at once, beforehand, and each costs one
    likelihood of the outputs. They are tried in the order of the terms.

    Parameters
    ----------
    key : Array
        Random key of this step.
    outputs : Array
        y (outputs, examples): examples are last, where additions over them are fast.
    changes : Array
        Δs (terms, examples).
    weights : Array
        w (terms, outputs).
    corrections : Array
        c (terms,): log of the prior's ratio times that of the proposal densities.
    loglikelihood : callable
        ``y -> log L``, a scalar.

    Returns
    -------
    tuple
        The outputs after all terms, and the `Info`.
    """
    value = loglikelihood(outputs)
    # drawn at once: a key for every term would cost more than its likelihood
    uniforms = xp.random.uniform(key, (changes.shape[0],))

    def update(carry: tuple[Array, Array], term: tuple[Array, ...]) -> tuple[tuple[Array, Array], Info]:
        outputs, value = carry
        change, weight, correction, uniform = term
        moved = outputs + xp.expand_dims(weight, axis=-1) * change
        likelihood = loglikelihood(moved)
        probability, accepted = decide(xp, uniform, likelihood - value + correction)
        carry = xp.where(accepted, moved, outputs), xp.where(accepted, likelihood, value)
        return carry, Info(probability, accepted)

    (outputs, _), info = xp.scan(update, (outputs, value), (changes, weights, corrections, uniforms))
    return outputs, info
