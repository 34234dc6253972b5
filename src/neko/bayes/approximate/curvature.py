"""The curvature of the log posterior by the readout's weights, and normal noise with its inverse as covariance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from neko.bayes.packages import scipy
from neko.evaluator import Evaluator
from neko.models.network import Params
from neko.models.readout import leaky_filter
from neko.objective import Batch
from neko.typing import Array

Noise = Callable[[np.ndarray], np.ndarray]
"""From standard normal numbers (rows, outputs) to noise of a covariance."""


class Frames(NamedTuple):
    """What the loss sees at m frames: features φ̃ (m, rows), the weight of each frame in the loss (m,), and the second
    derivative of its loss by the outputs (m, outputs, outputs)."""

    features: Array
    weight: Array
    hessian: Array


def readout_names(model: Any) -> list[str]:
    """Names of the readout's parameters, in the order of the rows."""
    return [f"{direction.prefix}readout.{name}" for direction in model.directions for name in ("w_out", "b_out")]


def frames(model: Evaluator, params: Params, batch: Batch) -> Frames:
    """The frames of a batch; one a sequence where the loss is that of its mean output."""
    xp, network, objective = model.xp, model.model, model.objective
    _, outputs, emissions, _ = network.masked(
        xp.forward_only(), params, batch.x, None, training=False, valid=batch.valid
    )
    layers, features = len(emissions) // len(network.directions), []
    for number, direction in enumerate(network.directions):
        turn = direction.turn(xp, batch.valid)
        z = turn(emissions[(number + 1) * layers - 1])
        readout = model.network.readout
        filtered = leaky_filter(xp, readout.kappa, readout.scaled(z), xp.zeros_like(z[0]), reverse=False)[1]
        features += [turn(filtered), xp.ones((*z.shape[:2], 1))]
    phi, weight, target = xp.concat(features, axis=-1), batch.weight, batch.target
    if not objective.additive(batch):
        phi, outputs = (xp.expand_dims(objective.pooled(xp, a, batch), axis=0) for a in (phi, outputs))
        weight = xp.full((1, phi.shape[1]), 1.0 / phi.shape[1])

    def slope(y: Array) -> Array:
        return xp.value_and_grad(lambda y: xp.sum(objective.loss(xp, y, target)))(y)[1]

    _, pull = xp.vjp(slope, outputs)
    k = int(outputs.shape[-1])
    hessian = xp.stack([pull(xp.zeros_like(outputs) + axis)[0] for axis in xp.unstack(xp.eye(k))], axis=-1)
    rows, m = int(phi.shape[-1]), int(phi.shape[0] * phi.shape[1])
    weight = weight + xp.zeros(phi.shape[:2])
    return Frames(xp.reshape(phi, (m, rows)), xp.reshape(weight, (m,)), xp.reshape(hessian, (m, k, k)))


def full(found: list[Frames], prior: np.ndarray) -> Noise:
    """Noise with the covariance (Σ w φ̃ φ̃ᵀ ⊗ H + diag(prior))⁻¹, for frames in NumPy and a `prior` precision (rows,
    outputs)."""
    linalg, (rows, k) = scipy("linalg", "draws of a readout"), prior.shape
    # by output first: each pair of outputs has a block
    blocks = np.zeros((k, rows, k, rows))
    for features, weight, hessian in found:
        for i in range(k):
            for j in range(i + 1):
                blocks[i, :, j] += (features.T * (weight * hessian[:, i, j])) @ features
    precision = blocks.reshape(k * rows, k * rows)
    precision[np.diag_indices(k * rows)] += prior.T.ravel()
    lower = linalg.cholesky(precision, lower=True, overwrite_a=True, check_finite=False)

    def noise(z: np.ndarray) -> np.ndarray:
        drawn = linalg.solve_triangular(lower, z.T.ravel(), lower=True, trans="T", check_finite=False)
        return np.asarray(drawn.reshape(k, rows).T)

    return noise


def kronecker(found: list[Frames], prior: np.ndarray) -> Noise:
    """As `full`, with the product (Σ w φ̃ φ̃ᵀ) ⊗ (Σ w H / Σ w) in place of the sum."""
    if np.ptp(prior, axis=1).any():
        raise ValueError(
            "the prior's curvature differs between a row's weights: expected one scale, or covariance='full'"
        )
    features = sum(phi.T @ (phi * w[:, None]) for phi, w, _ in found)
    outputs = sum(np.tensordot(w, h, axes=1) for _, w, h in found) / sum(w.sum() for _, w, _ in found)
    # with prior rows D:  A ⊗ H + D ⊗ 1 = √D (√D⁻¹ A √D⁻¹ ⊗ H + 1) √D
    scale = 1.0 / np.sqrt(prior[:, 0])
    a, u = np.linalg.eigh(features * scale * scale[:, None])
    h, v = np.linalg.eigh(outputs)
    deviation = 1.0 / np.sqrt(np.maximum(a, 0.0)[:, None] * np.maximum(h, 0.0) + 1.0)
    return lambda z: scale[:, None] * (u @ (z * deviation) @ v.T)
